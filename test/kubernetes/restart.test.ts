import { setTimeout as delay } from 'node:timers/promises';
import { restartAnnotation } from '../../src/activities/delivery/kubernetes/restart-mark';
import { Cause } from '../../src/rotation/errors';
import type { Workload } from '../../src/rotation/dependents';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { SECRET_ID, startDeliverer } from '../testbed/kubernetes-deliverer';
import type { Deliverer } from '../testbed/kubernetes-deliverer';
import { DEPENDENT, NAMESPACE, changeTemplate, manifestOf, pathOf, replicaSetsOf } from '../testbed/kubernetes';
import { testSideBySide } from '../testbed/side-by-side';
import { until } from '../testbed/until';

const MARK = restartAnnotation(DEPENDENT.secret, SECRET_ID);

describeInCluster('restarting workloads of a cluster', () => {
  let cluster: Kubernetes;
  let deliverer: Deliverer;
  beforeAll(async () => {
    cluster = await startKubernetes((line) => process.stderr.write(`${line}\n`));
    await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${NAMESPACE}}}`);
    deliverer = startDeliverer(cluster.kubeconfig);
  }, BUILD_MS);
  afterAll(async () => {
    await deliverer?.kill();
    await cluster?.stop();
  });

  const deployment = (name: string): Workload => ({ kind: 'Deployment', name });

  /** A workload whose first pods are available. */
  async function running(
    workload: Workload,
    ...manifest: Parameters<typeof manifestOf> extends [unknown, ...infer R] ? R : never
  ) {
    await cluster.apply(manifestOf(workload, ...manifest));
    await until(`${workload.name} runs`, async () => {
      const found = await cluster.request<{ status?: Record<string, number> }>('GET', pathOf(workload));
      return (found?.status?.availableReplicas ?? found?.status?.numberAvailable ?? 0) > 0;
    });
    return workload;
  }

  /** Those of its pods. */
  async function annotationsOf(workload: Workload): Promise<Record<string, string>> {
    const found = await cluster.request<{
      spec: { template: { metadata: { annotations?: Record<string, string> } } };
    }>('GET', pathOf(workload));
    return found?.spec.template.metadata.annotations ?? {};
  }

  const restartedOnce = async (kind: Workload['kind']) => {
    const workload = await running({ kind, name: `once-${kind.toLowerCase()}` });
    const first = await deliverer.restart(DEPENDENT, workload, 'v-1');
    expect(first.failure).toBeUndefined();
    const after = await cluster.request<{ metadata: { generation: number } }>('GET', pathOf(workload));
    expect(after).toMatchObject({
      spec: { template: { metadata: { annotations: { [MARK]: 'v-1' } } } },
      status: { observedGeneration: after?.metadata.generation },
    });
    const again = await deliverer.restart(DEPENDENT, workload, 'v-1');
    expect(again.failure).toBeUndefined();
    expect(again.calls).not.toContainEqual(expect.stringMatching(/^PATCH/));
    expect(await cluster.request('GET', pathOf(workload))).toMatchObject({
      metadata: { generation: after?.metadata.generation },
    });
  };

  /** Pods that are started from now on never become ready. */
  async function neverReadyAgain(workload: Workload): Promise<void> {
    const labels = { 'keyturn.test/never-ready': 'x' };
    await cluster.request('PATCH', pathOf(workload), { spec: { template: { metadata: { labels } } } });
  }

  const reloadedFor = (secret: string) => ({ ...DEPENDENT, restart: 'reloader' as const, secret });

  async function setSecret(name: string, password: string): Promise<void> {
    const metadata = { name, namespace: NAMESPACE };
    await cluster.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { password } }));
  }

  testSideBySide({
    ...Object.fromEntries(
      (['Deployment', 'StatefulSet', 'DaemonSet'] as const).map((kind) => [
        `a ${kind} is restarted once for a version, however often that is asked`,
        () => restartedOnce(kind),
      ]),
    ),
    async 'a process killed while pods are replaced, and another that takes over, restart once'() {
      const workload = await running(deployment('killed'), {}, { annotations: { 'keyturn.test/ready-after': '3s' } });
      const doomed = startDeliverer(cluster.kubeconfig);
      const lost = doomed.restart(DEPENDENT, workload, 'v-1').catch((error: Error) => error.message);
      await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'killed')) === 2);
      await doomed.kill();
      expect(await lost).toBe('the deliverer has ended');
      expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
      expect(await replicaSetsOf(cluster, 'killed')).toBe(2);
    },

    async 'two secrets of one workload that rotate at once each restart it once'() {
      const workload = await running(deployment('shared'), {}, { annotations: { 'keyturn.test/ready-after': '1s' } });
      const both = await Promise.all([
        deliverer.restart(DEPENDENT, workload, 'v-1'),
        deliverer.restart({ ...DEPENDENT, secret: 'mail-api' }, workload, 'v-2'),
      ]);
      expect(both.map(({ failure }) => failure)).toEqual([undefined, undefined]);
      const marks = { [MARK]: 'v-1', [restartAnnotation('mail-api', SECRET_ID)]: 'v-2' };
      expect(await annotationsOf(workload)).toMatchObject(marks);
      expect([2, 3]).toContain(await replicaSetsOf(cluster, 'shared'));
    },

    async 'two secrets in one Kubernetes Secret that rotate at once each restart the workload once'() {
      const slowly = { annotations: { 'keyturn.test/ready-after': '4s' } };
      const workload = await running(deployment('two-in-one'), {}, slowly);
      const [database, api] = ['production/database/orders', 'production/api-key/payments'];
      const first = deliverer.restart(DEPENDENT, workload, 'v-1', { secretId: database });
      await until('the first restart has begun', async () => (await replicaSetsOf(cluster, 'two-in-one')) === 2);
      const second = deliverer.restart(DEPENDENT, workload, 'v-2', { secretId: api });
      expect([(await first).failure, (await second).failure]).toEqual([undefined, undefined]);
      const mark = (secretId: string) => restartAnnotation(DEPENDENT.secret, secretId);
      expect(await annotationsOf(workload)).toMatchObject({ [mark(database)]: 'v-1', [mark(api)]: 'v-2' });
      expect(await replicaSetsOf(cluster, 'two-in-one')).toBe(3);
    },

    async 'a restart that an earlier version of Keyturn began is not made again, and does not count for a later one'() {
      const workload = await running(deployment('earlier'));
      const annotations = { [`version.keyturn.dev/${DEPENDENT.secret}`]: 'v-1' };
      await cluster.request('PATCH', pathOf(workload), { spec: { template: { metadata: { annotations } } } });
      const patches = ({ calls }: { calls: string[] }) => calls.filter((call) => call.startsWith('PATCH')).length;
      const restarts = [];
      for (const version of ['v-1', 'v-2', 'v-1']) {
        const restarted = await deliverer.restart(DEPENDENT, workload, version);
        expect(restarted.failure).toBeUndefined();
        restarts.push(patches(restarted));
      }
      expect(restarts).toEqual([0, 1, 1]);
    },

    async 'a rollout that is not to be waited for is only begun'() {
      const workload = await running(deployment('begun'), {}, { annotations: { 'keyturn.test/ready-after': '5s' } });
      const { failure, tookMs } = await deliverer.restart({ ...DEPENDENT, waitFor: 'synced' }, workload, 'v-1');
      expect(failure).toBeUndefined();
      expect(tookMs).toBeLessThan(4_900);
      await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'begun')) === 2);
    },

    async 'a paused rollout is not begun'() {
      const workload = await running(deployment('paused'));
      await cluster.request('PATCH', pathOf(workload), { spec: { paused: true } });
      const { failure } = await deliverer.restart(DEPENDENT, workload, 'v-1');
      expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(failure?.message).toContain('it is paused');
      expect(await cluster.request('GET', pathOf(workload))).toMatchObject({ metadata: { generation: 2 } });
    },

    async 'a rollout that exceeds its progress deadline fails with the condition, and goes back to the earlier version'() {
      const workload = await running(deployment('never-ready'), { replicas: 1, progressDeadlineSeconds: 6 });
      expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
      await neverReadyAgain(workload);
      const { failure } = await deliverer.restart(DEPENDENT, workload, 'v-2');
      expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(failure?.message).toMatch(/The Deployment shop\/never-ready in .*: ProgressDeadlineExceeded: ReplicaSet/);
      await cluster.request('PATCH', pathOf(workload), {
        spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': null } } } },
      });
      expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
    },

    async 'a rollout that takes longer than it may says what was seen last'() {
      const workload = await running(deployment('slow'));
      await neverReadyAgain(workload);
      const { failure, tookMs } = await deliverer.restart({ ...DEPENDENT, timeoutMs: 5_000 }, workload, 'v-1');
      expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(failure?.message).toMatch(
        /not all available within 5 s; last seen: of 2 pods [01] are updated, \d are available and \d old ones are left/,
      );
      expect(tookMs).toBeLessThan(30_000);
    },

    async 'a template that somebody else changes meanwhile, a workload that is deleted, and one that never was'() {
      const workload = await running(deployment('changed'), {}, { annotations: { 'keyturn.test/ready-after': '5s' } });
      const changed = deliverer.restart(DEPENDENT, workload, 'v-1');
      await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'changed')) === 2);
      await changeTemplate(cluster, workload);
      expect((await changed).failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect((await changed).failure?.message).toMatch(
        /somebody else changed its pod template .*generation 2 became 3/,
      );

      const deleted = deliverer.restart(DEPENDENT, workload, 'v-2');
      await until('the next restart has begun', async () => {
        return (await annotationsOf(workload))[MARK] === 'v-2';
      });
      await cluster.request('DELETE', pathOf(workload));
      expect((await deleted).failure?.message).toContain('it was deleted while its pods were restarted');

      const missing = await deliverer.restart(DEPENDENT, workload, 'v-2');
      expect(missing.failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(missing.failure?.message).toContain('there is no such workload');
    },

    async 'a restart that is taken back meanwhile'() {
      const workload = await running(deployment('undone'), {}, { annotations: { 'keyturn.test/ready-after': '5s' } });
      const restarted = deliverer.restart(DEPENDENT, workload, 'v-1');
      await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'undone')) === 2);
      // What kubectl rollout undo does.
      const annotations = { [MARK]: null };
      await cluster.request('PATCH', pathOf(workload), { spec: { template: { metadata: { annotations } } } });
      expect((await restarted).failure).toMatchObject({
        type: Cause.RolloutFailed,
        message: expect.stringContaining('somebody took its restart back') as string,
      });
    },

    async 'a scaling meanwhile is no change by somebody else'() {
      const workload = await running(deployment('scaled'), {}, { annotations: { 'keyturn.test/ready-after': '2s' } });
      const restarted = deliverer.restart(DEPENDENT, workload, 'v-1');
      await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'scaled')) === 2);
      await cluster.request('PATCH', pathOf(workload), { spec: { replicas: 3 } });
      expect((await restarted).failure).toBeUndefined();
      expect(await cluster.request('GET', pathOf(workload))).toMatchObject({ status: { updatedReplicas: 3 } });
    },

    async 'with Reloader, waits for the restart that somebody else makes after the Secret has changed'() {
      const workload = await running(deployment('reloaded'));
      // The API server notes times in whole seconds.
      await delay(1_100);
      await setSecret('reloaded', 'changed-a-moment-ago');
      const waited = deliverer.restart(reloadedFor('reloaded'), workload, 'v-1');
      const early = await Promise.race([waited, delay(1_000, 'still waiting')]);
      expect(early).toBe('still waiting');
      await changeTemplate(cluster, workload, 'reloader');
      expect((await waited).failure).toBeUndefined();
      expect((await waited).calls).not.toContainEqual(expect.stringMatching(/^PATCH/));
      // One that was over before anybody looked counts too.
      expect((await deliverer.restart(reloadedFor('reloaded'), workload, 'v-1')).failure).toBeUndefined();
    },

    async 'with Reloader, a change of the replicas by whoever also wrote the template is no restart'() {
      const workload = await running(deployment('resized'));
      await changeTemplate(cluster, workload);
      await until('the release is out', async () => (await replicaSetsOf(cluster, 'resized')) === 2);
      const looked = { ...reloadedFor('resized'), sync: 'push' as const, externalSecret: undefined };
      const isSeen = async () => {
        const { failure, result } = await deliverer.look({ ...looked, workloads: [workload] }, true);
        return failure ? undefined : (result as { revisions: Record<string, string> }).revisions;
      };
      const revision = Object.values(await until('it is available', isSeen))[0];
      expect(revision).toBe('2');
      await delay(1_100);
      await setSecret('resized', 'changed-a-moment-ago');
      await delay(1_100);
      // As Helm does it: the entry of the writer is as new as the latest of its changes.
      await cluster.request('PATCH', pathOf(workload), { spec: { replicas: 3 } });
      const seen = { resourceVersion: 'of-before', revision };
      const waited = deliverer.restart(reloadedFor('resized'), workload, 'v-1', { seen });
      expect(await Promise.race([waited, delay(3_000, 'still waiting')])).toBe('still waiting');
      await changeTemplate(cluster, workload, 'reloader');
      expect((await waited).failure).toBeUndefined();
    },

    async 'with Reloader, what is not known of before, or a Secret that has not changed since, asks for no other template'() {
      const workload = await running(deployment('unchanged'));
      await setSecret('unchanged', 'changed-a-while-ago');
      await delay(1_100);
      await changeTemplate(cluster, workload, 'reloader');
      const path = `/api/v1/namespaces/${NAMESPACE}/secrets/unchanged`;
      const found = await cluster.request<{ metadata: { resourceVersion: string } }>('GET', path);
      const revision = '2';
      for (const seen of [undefined, { revision }, { resourceVersion: found?.metadata.resourceVersion, revision }]) {
        const { failure } = await deliverer.restart(reloadedFor('unchanged'), workload, 'v-1', { seen });
        expect(failure).toBeUndefined();
      }
    },

    async 'with Reloader, says so when nobody restarts it'() {
      const workload = await running(deployment('forgotten'));
      await delay(1_100);
      await setSecret('forgotten', 'changed-a-moment-ago');
      const { failure } = await deliverer.restart({ ...reloadedFor('forgotten'), timeoutMs: 2_000 }, workload, 'v-1');
      expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(failure?.message).toMatch(/nobody restarted it within 2 s .*Look whether Reloader runs/);
    },
  });
});
