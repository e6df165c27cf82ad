import { randomBytes } from 'node:crypto';
import { contentsOf } from '../testbed/cluster-contents';
import { createCli } from '../testbed/cli-process';
import { startDependent } from '../testbed/dependent';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { leaksIn } from '../testbed/scan';
import { failureOf } from '../testbed/testbed';

/** A value that every encoding changes. */
const canary = () => `Cä'n"a\\r y ª%/+&<>$\`{} ${randomBytes(9).toString('base64')}`;

const WHOLE = { keys: [{ key: 'password' }] };

/** What is in a cluster after deliveries that succeeded, and after some that failed in ways that bring an error near to a value. */
describeInCluster('a secret value in a cluster', () => {
  let stage: ClusterBed;
  beforeAll(async () => {
    stage = await openClusterBed({ stepTimeout: '5 seconds' });
    await stage.bed.startWorker();
  }, BUILD_MS);
  // Closing looks through the histories, logs, audit records, metrics and outputs as well.
  afterAll(() => stage?.close());

  async function appSecret(name: string, ...dependents: Record<string, unknown>[]): Promise<void> {
    await stage.bed.secrets.create(name, canary());
    await stage.bed.declare({ [name]: { type: 'app-secret', dependents } });
  }

  const pushed = (secret: string) =>
    stage.dependentOn(secret, { sync: 'push', externalSecret: undefined, secret, workloads: [], ...WHOLE });

  async function rotates(secret: string): Promise<void> {
    expect(await stage.bed.rotate(secret)).toMatchObject({ outcome: 'rotated' });
  }

  async function failsFor(secret: string, cause: string): Promise<void> {
    const { details } = await failureOf(stage.bed.rotate(secret));
    expect(details).toMatchObject({ cause: { type: cause } });
  }

  const deliveries: Record<string, () => Promise<void>> = {
    async 'synced and restarted'() {
      await appSecret('synced', stage.dependentOn('synced', WHOLE));
      await stage.deploy('synced');
      await rotates('synced');
    },
    async 'synced, and taken back after a restart'() {
      const dependent = await startDependent('the service', '1 second');
      stage.bed.alsoStop(dependent);
      await stage.bed.databases.singleUser('back', {
        password: canary(),
        declaration: { dependents: [stage.dependentOn('back'), dependent.declaration] },
      });
      await stage.deploy('back');
      const before = await stage.bed.secrets.labels('back');
      dependent.answer(async () => ((await stage.bed.secrets.labels('back')).current === before.current ? 200 : 503));
      await failsFor('back', 'DependentUnhealthy');
      expect(await stage.restarts('back')).toBe(2);
    },
    async 'not found by the operator, which says so in an event'() {
      await appSecret('unfound', stage.dependentOn('unfound', { ...WHOLE, syncTimeout: '4 seconds' }));
      await stage.deploy('unfound');
      const data = [{ secretKey: 'password', remoteRef: { key: stage.bed.secrets.idOf('unfound'), property: 'none' } }];
      await stage.cluster.request('PATCH', stage.path('externalsecrets', 'unfound'), { spec: { data } });
      await failsFor('unfound', 'NotSynced');
      expect(await stage.held('unfound')).toBe(await stage.current('unfound'));
    },
    async 'pushed, once and once more'() {
      await appSecret('pushed', pushed('pushed'));
      await rotates('pushed');
      await rotates('pushed');
      expect(await stage.held('pushed')).toBe(await stage.current('pushed'));
    },
    async 'pushed into a Secret that is immutable, or in which somebody else holds the key'() {
      for (const [name, more] of [
        ['fixed', { immutable: true }],
        ['contested', {}],
      ] as const) {
        await appSecret(name, pushed(name));
        const data = { password: Buffer.from(await stage.current(name)).toString('base64') };
        await stage.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, data, ...more });
      }
      await Promise.all(['fixed', 'contested'].map((name) => failsFor(name, 'NotSynced')));
    },
  };

  test('is in the data of Secrets alone: in no event, annotation, managedFields, workload or anything else', async () => {
    await Promise.all(Object.values(deliveries).map((deliver) => deliver()));
    await createCli(stage.bed).run(['doctor']);
    const canaries = [
      ...(await stage.bed.secrets.everyValue()),
      ...stage.bed.databases.passwords().map((value) => ({ value })),
    ];
    const { secretData, everythingElse } = await contentsOf(stage.cluster);
    expect(await leaksIn(everythingElse, canaries)).toEqual([]);

    const kinds = new Set(everythingElse.map(({ name }) => name.split(' ')[0]));
    for (const kind of ['events', 'deployments', 'replicasets', 'pods', 'externalsecrets', 'secrets', 'leases']) {
      expect(kinds).toContain(kind);
    }
    // The search would have found one.
    const found = await leaksIn(secretData, canaries);
    for (const name of ['synced', 'back', 'unfound', 'pushed', 'fixed', 'contested']) {
      expect(found).toContainEqual(expect.stringContaining(`secrets ${stage.namespace}/${name} holds a secret value`));
    }
  });
});
