import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { Cause } from '../../src/rotation/errors';
import type { KubernetesDependent, Workload } from '../../src/rotation/dependents';
import { operatorFiles } from '../lab/kubernetes/build';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { DEPENDENT, NAMESPACE } from '../testbed/kubernetes';
import { startDeliverer } from '../testbed/kubernetes-deliverer';
import type { Deliverer } from '../testbed/kubernetes-deliverer';
import { until } from '../testbed/until';

const report = (line: string) => void process.stderr.write(`${line}\n`);

/**
 * The API server and the definitions are real. The controllers are fakes that write what the real ones would: an External Secrets Operator
 * from before its `v1`, and Argo Rollouts' (its manual, 'Restarting Rollout Pods').
 */
describeInCluster('a cluster with controllers that are not built here', () => {
  let cluster: Kubernetes;
  let deliverer: Deliverer;
  beforeAll(async () => {
    cluster = await startKubernetes(report);
    await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${NAMESPACE}}}`);
    deliverer = startDeliverer(cluster.kubeconfig);
  }, BUILD_MS);
  afterAll(async () => {
    await deliverer?.kill();
    await cluster?.stop();
  });

  describe('of which External Secrets Operator serves v1beta1 only', () => {
    const path = `/apis/external-secrets.io/v1beta1/namespaces/${NAMESPACE}/externalsecrets/orders-db`;
    const textOf = (password: string) => JSON.stringify({ password });

    beforeAll(async () => {
      await cluster.apply(await olderDefinition());
      await cluster.apply(
        JSON.stringify({
          apiVersion: 'external-secrets.io/v1beta1',
          kind: 'ExternalSecret',
          metadata: { name: 'orders-db', namespace: NAMESPACE },
          spec: {
            refreshInterval: '1h',
            secretStoreRef: { kind: 'SecretStore', name: 'aws' },
            data: [{ secretKey: 'password', remoteRef: { key: 'dev/orders', property: 'password' } }],
          },
        }),
      );
      await hold('the-first-password');
    });

    /** What the fake operator writes. */
    const hold = (password: string) =>
      cluster.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'orders-db', namespace: NAMESPACE },
          stringData: { password },
        }),
      );
    const asked = async () =>
      (await cluster.request<{ metadata: { annotations?: Record<string, string> } }>('GET', path))?.metadata
        .annotations?.['force-sync'];
    /** What it says of the last sync. */
    const says = (status: string, reason: string, message: string, more: object = {}) =>
      cluster.request('PATCH', `${path}/status`, {
        status: { conditions: [{ type: 'Ready', status, reason, message }], ...more },
      });

    test('a version is asked for, and has arrived when the Secret holds it', async () => {
      const syncing = deliverer.sync(DEPENDENT, 'v-2', textOf('the-second-password'));
      await until('it is asked for', async () => (await asked()) === 'v-2');
      await hold('the-second-password');
      expect((await syncing).failure).toBeUndefined();
    });

    test('what is only seen to change was synced back when the operator has said so twice, since the first may be of an earlier sync', async () => {
      const dependent: KubernetesDependent = { ...DEPENDENT, expect: 'any-change' };
      const hasSynced = (syncedResourceVersion: string) =>
        says('True', 'SecretSynced', 'secret synced', { syncedResourceVersion });
      const syncing = deliverer.sync(dependent, 'v-1', textOf('the-first-password'), { back: { undoes: 'v-2' } });
      await until('it is asked for', async () => (await asked()) === 'v-1, after v-2');
      await hasSynced('1-begun-before');
      await until('it is asked for once more', async () => (await asked())?.startsWith('v-1, after v-2, again'));
      await hold('the-first-password');
      await hasSynced('1-begun-after');
      const { failure, result } = await syncing;
      expect(failure).toBeUndefined();
      expect(result).toMatchObject({ untouched: false, came: true });
    });

    test('why a version does not arrive is told from its conditions', async () => {
      const dependent: KubernetesDependent = { ...DEPENDENT, syncTimeoutMs: 4_000 };
      await says('False', 'SecretSyncedError', 'could not get secret data from provider');
      const { failure } = await deliverer.sync(dependent, 'v-3', textOf('the-third-password'));
      expect(failure).toMatchObject({
        type: Cause.NotSynced,
        message: expect.stringContaining('SecretSyncedError: could not get secret data from provider') as string,
      });
      expect(failure?.message).not.toContain('the-third-password');
    });
  });

  describe('with Argo Rollouts', () => {
    const workload: Workload = { kind: 'Rollout', name: 'api' };
    const path = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/rollouts/api`;

    interface Rollout {
      metadata: { generation: number; annotations?: Record<string, string> };
      spec: { restartAt?: string; template: { metadata?: { annotations?: Record<string, string> } } };
    }
    const rollout = async () => (await cluster.request<Rollout>('GET', path)) as Rollout;
    const says = async (status: object) => {
      const { metadata } = await rollout();
      await cluster.request('PATCH', `${path}/status`, {
        status: { observedGeneration: String(metadata.generation), availableReplicas: 2, ...status },
      });
    };

    /** What Argo says of an update that does not come to its end. */
    const degraded = (lastUpdateTime: string) => {
      const [reason, message] = ['ProgressDeadlineExceeded', 'the pods do not get ready'];
      const condition = { type: 'Progressing', status: 'False', reason, message, lastUpdateTime };
      return { phase: 'Degraded', message: `${reason}: ${message}`, conditions: [condition] };
    };

    beforeAll(async () => {
      await cluster.apply(ROLLOUT_DEFINITION);
      await cluster.apply(
        JSON.stringify({
          apiVersion: 'argoproj.io/v1alpha1',
          kind: 'Rollout',
          metadata: { name: 'api', namespace: NAMESPACE },
          spec: { replicas: 2, template: { metadata: { labels: { app: 'api' } } } },
        }),
      );
      await says({ phase: 'Healthy' });
    });

    test('a restart is asked for once, and done when every pod is newer', async () => {
      const restarting = deliverer.restart(DEPENDENT, workload, 'v-2');
      const restartAt = await until('it is asked for', async () => (await rollout()).spec.restartAt);
      await says({ phase: 'Progressing', availableReplicas: 1 });
      await says({ phase: 'Healthy', restartedAt: restartAt });
      expect((await restarting).failure).toBeUndefined();
      const again = await deliverer.restart(DEPENDENT, workload, 'v-2');
      expect(again.failure).toBeUndefined();
      expect((await rollout()).spec.restartAt).toBe(restartAt);
    });

    test('a Rollout that becomes degraded fails with what Argo says', async () => {
      const before = (await rollout()).spec.restartAt;
      const restarting = deliverer.restart(DEPENDENT, workload, 'v-3');
      await until('it is asked for', async () => (await rollout()).spec.restartAt !== before);
      // Whole seconds; what is of the same one is not taken for later.
      await delay(1_100);
      await says(degraded(new Date().toISOString()));
      expect((await restarting).failure).toMatchObject({
        type: Cause.RolloutFailed,
        message: expect.stringContaining('the Rollout is Degraded (ProgressDeadlineExceeded') as string,
      });
    });

    test('one that was degraded before it was restarted is restarted, and done when every pod is newer', async () => {
      const since = new Date(Date.now() - 60_000).toISOString();
      await says(degraded(since));
      const before = (await rollout()).spec.restartAt;
      const restarting = deliverer.restart(DEPENDENT, workload, 'v-4');
      const restartAt = await until('it is asked for', async () => {
        const now = (await rollout()).spec.restartAt;
        return now === before ? undefined : now;
      });
      await says({ ...degraded(since), availableReplicas: 1 });
      await says({ ...degraded(since), restartedAt: restartAt });
      expect((await restarting).failure).toBeUndefined();
    });
  });
});

interface Definition {
  metadata: { name: string };
  spec: { versions: { name: string; served: boolean; storage: boolean }[] };
}

/** The operator's own definition of an ExternalSecret, as an operator served it that did not have `v1` yet. */
async function olderDefinition(): Promise<string> {
  const { definitions } = await operatorFiles(report);
  const documents = parseAllDocuments(await readFile(definitions, 'utf8')).map(
    (document) => document.toJS() as Definition,
  );
  const definition = documents.find(({ metadata }) => metadata.name === 'externalsecrets.external-secrets.io');
  if (!definition) throw new Error('the operator defines no ExternalSecret');
  definition.spec.versions = definition.spec.versions
    .filter(({ name }) => name === 'v1beta1')
    .map((version) => ({ ...version, served: true, storage: true }));
  return JSON.stringify(definition);
}

const ROLLOUT_DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: rollouts.argoproj.io }
spec:
  group: argoproj.io
  scope: Namespaced
  names: { kind: Rollout, listKind: RolloutList, plural: rollouts, singular: rollout }
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: { status: {} }
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`;
