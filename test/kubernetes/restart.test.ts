import { setTimeout as delay } from 'node:timers/promises';
import { Cause } from '../../src/rotation/errors';
import type { Workload } from '../../src/rotation/dependents';
import { kubernetesUnavailable } from '../lab/kubernetes/build';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { startDeliverer } from '../testbed/kubernetes-deliverer';
import type { Deliverer } from '../testbed/kubernetes-deliverer';
import { DEPENDENT, NAMESPACE, changeTemplate, manifestOf, pathOf, replicaSetsOf } from '../testbed/kubernetes';
import { until } from '../testbed/until';

const unavailable = process.env['CI'] === 'true' ? undefined : kubernetesUnavailable();
const describeWithKubernetes = unavailable ? describe.skip : describe;
const why = unavailable ? ` [skipped: ${unavailable.message}]` : '';

/** Longer than a cluster takes to build. */
const BUILD_MS = 30 * 60_000;

describeWithKubernetes(`restarting workloads of a cluster${why}`, () => {
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

  test.each(['Deployment', 'StatefulSet', 'DaemonSet'] as const)(
    'a %s is restarted once for a version, however often that is asked',
    async (kind) => {
      const workload = await running({ kind, name: `once-${kind.toLowerCase()}` });
      const first = await deliverer.restart(DEPENDENT, workload, 'v-1');
      expect(first.failure).toBeUndefined();
      const after = await cluster.request<{ metadata: { generation: number } }>('GET', pathOf(workload));
      expect(after).toMatchObject({
        spec: { template: { metadata: { annotations: { 'version.keyturn.dev/orders-db': 'v-1' } } } },
        status: { observedGeneration: after?.metadata.generation },
      });
      const again = await deliverer.restart(DEPENDENT, workload, 'v-1');
      expect(again.failure).toBeUndefined();
      expect(again.calls).not.toContainEqual(expect.stringMatching(/^PATCH/));
      expect(await cluster.request('GET', pathOf(workload))).toMatchObject({
        metadata: { generation: after?.metadata.generation },
      });
    },
  );

  test('a process killed while pods are replaced, and another that takes over, restart once', async () => {
    const workload = await running(deployment('killed'), {}, { annotations: { 'keyturn.test/ready-after': '3s' } });
    const doomed = startDeliverer(cluster.kubeconfig);
    const lost = doomed.restart(DEPENDENT, workload, 'v-1').catch((error: Error) => error.message);
    await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'killed')) === 2);
    await doomed.kill();
    expect(await lost).toBe('the deliverer has ended');
    expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
    expect(await replicaSetsOf(cluster, 'killed')).toBe(2);
  });

  test('two secrets of one workload that rotate at once each restart it once', async () => {
    const workload = await running(deployment('shared'), {}, { annotations: { 'keyturn.test/ready-after': '1s' } });
    const both = await Promise.all([
      deliverer.restart(DEPENDENT, workload, 'v-1'),
      deliverer.restart({ ...DEPENDENT, secret: 'mail-api' }, workload, 'v-2'),
    ]);
    expect(both.map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(await replicaSetsOf(cluster, 'shared')).toBeLessThanOrEqual(3);
  });

  test('a rollout that is not to be waited for is only begun', async () => {
    const workload = await running(deployment('begun'), {}, { annotations: { 'keyturn.test/ready-after': '5s' } });
    const { failure, tookMs } = await deliverer.restart({ ...DEPENDENT, waitFor: 'synced' }, workload, 'v-1');
    expect(failure).toBeUndefined();
    expect(tookMs).toBeLessThan(3_000);
    await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'begun')) === 2);
  });

  /** Pods that are started from now on never become ready. */
  async function neverReadyAgain(workload: Workload): Promise<void> {
    const labels = { 'keyturn.test/never-ready': 'x' };
    await cluster.request('PATCH', pathOf(workload), { spec: { template: { metadata: { labels } } } });
  }

  test('a paused rollout is not begun', async () => {
    const workload = await running(deployment('paused'));
    await cluster.request('PATCH', pathOf(workload), { spec: { paused: true } });
    const { failure } = await deliverer.restart(DEPENDENT, workload, 'v-1');
    expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
    expect(failure?.message).toContain('it is paused');
    expect(await cluster.request('GET', pathOf(workload))).toMatchObject({ metadata: { generation: 2 } });
  });

  test('a rollout that exceeds its progress deadline fails with the condition, and goes back to the earlier version', async () => {
    const workload = await running(deployment('never-ready'), { replicas: 1, progressDeadlineSeconds: 3 });
    expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
    await neverReadyAgain(workload);
    const { failure } = await deliverer.restart(DEPENDENT, workload, 'v-2');
    expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
    expect(failure?.message).toMatch(/The Deployment shop\/never-ready in .*: ProgressDeadlineExceeded: ReplicaSet/);
    await cluster.request('PATCH', pathOf(workload), {
      spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': null } } } },
    });
    expect((await deliverer.restart(DEPENDENT, workload, 'v-1')).failure).toBeUndefined();
  });

  test('a rollout that takes longer than it may says what was seen last', async () => {
    const workload = await running(deployment('slow'));
    await neverReadyAgain(workload);
    const { failure, tookMs } = await deliverer.restart({ ...DEPENDENT, timeoutMs: 2_000 }, workload, 'v-1');
    expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
    expect(failure?.message).toMatch(
      /not all available within 2 s; last seen: of 2 pods 1 are updated, \d are available and \d old ones are left/,
    );
    expect(tookMs).toBeLessThan(10_000);
  });

  test('a template that somebody else changes meanwhile, a workload that is deleted, and one that never was', async () => {
    const workload = await running(deployment('changed'), {}, { annotations: { 'keyturn.test/ready-after': '20s' } });
    const changed = deliverer.restart(DEPENDENT, workload, 'v-1');
    await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'changed')) === 2);
    await changeTemplate(cluster, workload);
    expect((await changed).failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
    expect((await changed).failure?.message).toMatch(/somebody else changed its pod template .*generation 2 became 3/);

    const deleted = deliverer.restart(DEPENDENT, workload, 'v-2');
    await until('the next restart has begun', async () => (await replicaSetsOf(cluster, 'changed')) >= 4);
    await cluster.request('DELETE', pathOf(workload));
    expect((await deleted).failure?.message).toContain('it was deleted while its pods were restarted');

    const missing = await deliverer.restart(DEPENDENT, workload, 'v-2');
    expect(missing.failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
    expect(missing.failure?.message).toContain('there is no such workload');
  });

  test('a scaling meanwhile is no change by somebody else', async () => {
    const workload = await running(deployment('scaled'), {}, { annotations: { 'keyturn.test/ready-after': '2s' } });
    const restarted = deliverer.restart(DEPENDENT, workload, 'v-1');
    await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'scaled')) === 2);
    await cluster.request('PATCH', pathOf(workload), { spec: { replicas: 3 } });
    expect((await restarted).failure).toBeUndefined();
    expect(await cluster.request('GET', pathOf(workload))).toMatchObject({ status: { updatedReplicas: 3 } });
  });

  describe('with Reloader', () => {
    const dependent = { ...DEPENDENT, restart: 'reloader' as const, secret: 'reloaded' };
    const secretPath = `/api/v1/namespaces/${NAMESPACE}/secrets/reloaded`;
    const setSecret = async (password: string) => {
      await cluster.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'reloaded', namespace: NAMESPACE },
          stringData: { password },
        }),
      );
      return cluster.request('GET', secretPath);
    };

    test('waits for the restart that somebody else makes after the Secret has changed', async () => {
      const workload = await running(deployment('reloaded'));
      // The API server notes times in whole seconds.
      await delay(1_100);
      await setSecret('changed-a-moment-ago');
      const waited = deliverer.restart(dependent, workload, 'v-1');
      const early = await Promise.race([waited, delay(1_000, 'still waiting')]);
      expect(early).toBe('still waiting');
      await changeTemplate(cluster, workload, 'reloader');
      expect((await waited).failure).toBeUndefined();
      expect((await waited).calls).not.toContainEqual(expect.stringMatching(/^PATCH/));
      // One that was over before anybody looked counts too.
      expect((await deliverer.restart(dependent, workload, 'v-1')).failure).toBeUndefined();
    });

    test('says so when nobody restarts it', async () => {
      const workload = await running(deployment('forgotten'));
      await delay(1_100);
      await setSecret('changed-once-more');
      const { failure } = await deliverer.restart({ ...dependent, timeoutMs: 2_000 }, workload, 'v-1');
      expect(failure).toMatchObject({ type: Cause.RolloutFailed, nonRetryable: true });
      expect(failure?.message).toMatch(/nobody restarted it within 2 s .*Look whether Reloader runs/);
    });
  });

  test('an API server that is stopped in the middle is found again', async () => {
    const workload = await running(deployment('outage'), {}, { annotations: { 'keyturn.test/ready-after': '4s' } });
    const cut = deliverer.restart(DEPENDENT, workload, 'v-1');
    await until('the restart has begun', async () => (await replicaSetsOf(cluster, 'outage')) === 2);
    await cluster.stopApiServer();
    expect((await cut).failure).toMatchObject({ type: Cause.TargetUnavailable, nonRetryable: false });
    await cluster.startApiServer();
    await until('the circuit breaker lets calls through', async () => {
      const { failure } = await deliverer.restart(DEPENDENT, workload, 'v-1');
      if (failure && failure.type !== Cause.TargetUnavailable) throw new Error(failure.message);
      return failure === undefined;
    });
    expect(await replicaSetsOf(cluster, 'outage')).toBe(2);
  });
});
