import type { Cluster } from '../src/activities/delivery/kubernetes/cluster';
import { askForSync } from '../src/activities/delivery/kubernetes/external-secret';
import { Refusal } from '../src/activities/delivery/kubernetes/refusals';
import { restartByAnnotation } from '../src/activities/delivery/kubernetes/rollout';
import { Cause } from '../src/rotation/errors';
import { DEPENDENT } from './testbed/kubernetes';

const CONFLICT = 'Operation cannot be fulfilled on it: the object has been modified';

/** A cluster that refuses what is written into it. */
function fakeCluster(status: number, code: string, message: string): Cluster {
  return {
    name: 'the cluster',
    read: () => Promise.resolve({ metadata: { name: 'web', generation: 1 }, spec: {} }),
    patch: () => Promise.reject(new Refusal(status, code, message)),
  } as Partial<Cluster> as Cluster;
}

const restart = (cluster: Cluster) =>
  restartByAnnotation(cluster, DEPENDENT, { kind: 'Deployment', name: 'web' }, { secretId: 'dev/orders', mark: 'v-1' });

const resource = { group: 'external-secrets.io', version: 'v1', plural: 'externalsecrets', kind: 'ExternalSecret' };
const name = { resource, namespace: 'shop', name: 'orders-db' };
const ask = (cluster: Cluster) =>
  askForSync(cluster, { name, found: { metadata: { name: 'orders-db' } }, externalSecret: name }, { versionId: 'v-1' });

test.each([
  ['a workload', restart, 'The Deployment shop/web in the cluster: others write it at the same time'],
  ['an ExternalSecret', ask, 'Others write ExternalSecret shop/orders-db in the cluster at the same time'],
] as const)('%s that others write at the same time is tried again', async (_what, write, message) => {
  await expect(write(fakeCluster(409, 'Conflict', CONFLICT))).rejects.toMatchObject({
    type: Cause.TargetBusy,
    nonRetryable: false,
    message: expect.stringContaining(message) as string,
  });
});

test.each([
  ['a workload', restart, Cause.RolloutFailed],
  ['an ExternalSecret', ask, Cause.NotSynced],
] as const)('what the API server calls invalid of %s is an answer', async (_what, write, type) => {
  await expect(write(fakeCluster(422, 'Invalid', 'it is invalid'))).rejects.toMatchObject({ type, nonRetryable: true });
});
