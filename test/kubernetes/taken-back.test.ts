import { setTimeout as delay } from 'node:timers/promises';
import type { RotationInput } from '../../src/rotation/types';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed, Use } from '../testbed/kubernetes-rotations';
import { testSideBySide } from '../testbed/side-by-side';
import { createSubject } from '../testbed/subjects';
import { failureOf } from '../testbed/testbed';
import { until } from '../testbed/until';
import { inPhase } from '../testbed/watching';

/** The whole text of the secret. */
const WHOLE = { keys: [{ key: 'password' }] };

describeInCluster('a delivery that is taken back, and workloads that could not be taken back', () => {
  let stage: ClusterBed;
  beforeAll(async () => {
    // Long, so that what ends before it does not end because of it.
    stage = await openClusterBed({ stepTimeout: '60 seconds', rollbackTimeout: '20 minutes' });
    await stage.bed.startWorker();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  async function deployed(
    secret: string,
    dependent: object = {},
    declaration: object = {},
    use?: Use,
  ): Promise<string> {
    await createSubject(stage.bed, 'app-secret', secret, {
      dependents: [stage.dependentOn(secret, { ...WHOLE, ...dependent })],
      ...declaration,
    });
    await stage.deploy(secret, use);
    return stage.current(secret);
  }

  const patch = (resource: 'deployments' | 'externalsecrets', name: string, change: object) =>
    stage.cluster.request('PATCH', stage.path(resource, name), change);
  const pause = (name: string, paused: boolean) => patch('deployments', name, { spec: { paused } });
  /** Whether pods that are started from now on ever become ready. */
  const neverReady = (name: string, never: 'x' | null) =>
    patch('deployments', name, { spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': never } } } } });

  /** Starts a rotation, and does something when it comes to a point. */
  async function changingBefore(
    secret: string,
    at: { step: string; activity?: string },
    change: () => Promise<unknown>,
    { workflow, ...input }: Partial<RotationInput> & { workflow?: string } = {},
  ) {
    const point = { secretId: stage.bed.secrets.idOf(secret), when: 'before' as const, ...at };
    await stage.bed.pauses.stopAt(point);
    const handle = await stage.bed.start(secret, input, workflow);
    await stage.bed.pauses.reached(point);
    await change();
    await stage.bed.pauses.goOn(point);
    return handle;
  }
  const RESTART = { step: 'deliver', activity: 'restartWorkload' };

  async function refusedBecauseUnavailable(secret: string, cause: string): Promise<string> {
    const before = await stage.bed.secrets.versionIds(secret);
    const { type, message, details } = await failureOf(stage.bed.rotate(secret));
    expect({ type, details }).toMatchObject({
      type: 'RotationRefused',
      details: { step: 'lookAtDependents', cause: { type: cause } },
    });
    expect(message).toContain(`The Deployment ${stage.namespace}/${secret}`);
    expect(message).toContain('it is not available already before the rotation');
    expect(await stage.bed.secrets.versionIds(secret)).toEqual(before);
    return message;
  }

  testSideBySide({
    async 'a workload that was not restarted yet is restarted, because its pods may have started with the new version'() {
      await deployed('unstarted');
      expect(await stage.bed.rotate('unstarted')).toMatchObject({ outcome: 'rotated' });
      const before = await stage.current('unstarted');
      const { current } = await stage.bed.secrets.labels('unstarted');
      const handle = await changingBefore('unstarted', RESTART, () => pause('unstarted', true));
      await inPhase(handle, 'rolling-back');
      expect(await stage.restarts('unstarted')).toBe(1);
      await pause('unstarted', false);
      expect(await failureOf(handle.result())).toMatchObject({ type: 'RotationRolledBack' });
      expect(await stage.held('unstarted')).toBe(before);
      expect(await stage.restarts('unstarted')).toBe(2);
      expect(await stage.restartedFor('unstarted', 'unstarted')).toBe(`${current}.after.${handle.firstExecutionRunId}`);
    },

    async 'going back that is undone a second time restarts once more, although the version is the same'() {
      await deployed('twice');
      expect(await stage.bed.rotate('twice')).toMatchObject({ outcome: 'rotated' });
      const [before, { current, previous }] = [await stage.current('twice'), await stage.bed.secrets.labels('twice')];
      for (const tries of [1, 2]) {
        const earlier = await stage.restarts('twice');
        // The Secret has changed by then, and the workload was not restarted for it.
        const back = { workflow: 'rollbackSecret' };
        const handle = await changingBefore('twice', RESTART, () => pause('twice', true), back);
        await inPhase(handle, 'rolling-back');
        await pause('twice', false);
        expect(await failureOf(handle.result())).toMatchObject({ type: 'RotationRolledBack' });
        expect({ tries, restarts: await stage.restarts('twice') }).toEqual({ tries, restarts: earlier + 1 });
        const mark = `${current}.after.${previous}.by.${handle.firstExecutionRunId}`;
        expect(await stage.restartedFor('twice', 'twice')).toBe(mark);
      }
      expect(await stage.held('twice')).toBe(before);
    },

    async 'a workload that was deleted meanwhile is no hindrance, and is named'() {
      const before = await deployed('deleted');
      const handle = await changingBefore('deleted', RESTART, () =>
        stage.cluster.request('DELETE', stage.path('deployments', 'deleted')),
      );
      const { type, message, details } = await failureOf(handle.result());
      const warning = `There is no Deployment ${stage.namespace}/deleted any more`;
      expect({ type, message }).toMatchObject({
        type: 'RotationRolledBack',
        message: expect.stringContaining(warning) as string,
      });
      expect(details).toMatchObject({ warnings: [expect.stringContaining(warning)] });
      expect(await stage.held('deleted')).toBe(before);
    },

    async 'what the API server refuses to let Keyturn write was never there, and is taken back at once'() {
      // The operator manages the key, too.
      const before = await deployed('refused', { sync: 'push', externalSecret: undefined, secret: 'refused' });
      const { type, message, details } = await failureOf(stage.bed.rotate('refused'));
      expect({ type, message, details }).toMatchObject({
        type: 'RotationRolledBack',
        details: { cause: { type: 'NotSynced' } },
      });
      expect(await stage.current('refused')).toBe(before);
      expect(await stage.held('refused')).toBe(before);
      expect(await stage.restarts('refused')).toBe(0);
    },

    async 'of two dependents that push into one Secret one is refused: the other is taken back, and the Secret is as it was'() {
      const dependent = (name: string, keys: string[]) =>
        stage.dependentOn('shared', {
          name,
          sync: 'push',
          externalSecret: undefined,
          secret: 'shared',
          keys: keys.map((key) => ({ key })),
          workloads: [],
        });
      const [own, others, both] = [['password'], ['token'], ['password', 'token']];
      await createSubject(stage.bed, 'app-secret', 'shared', { dependents: [dependent('own', own)] });
      const foreign = { token: Buffer.from('of somebody else').toString('base64') };
      await stage.cluster.request('POST', stage.path('secrets'), { metadata: { name: 'shared' }, data: foreign });
      expect(await stage.bed.rotate('shared')).toMatchObject({ outcome: 'rotated' });
      const dataNow = async () =>
        (await stage.cluster.request<{ data: object }>('GET', stage.path('secrets', 'shared')))?.data;
      const before = { value: await stage.current('shared'), data: await dataNow() };
      expect(before.data).toEqual({ ...foreign, password: Buffer.from(before.value).toString('base64') });
      for (const second of [others, both]) {
        for (const order of ['parallel', 'in-order']) {
          const dependents = [dependent('own', own), dependent('second', second)];
          await stage.bed.declare({ shared: { type: 'app-secret', dependents, delivery: { order } } });
          const { type, details } = await failureOf(stage.bed.rotate('shared'));
          expect({ order, type, details }).toMatchObject({
            type: 'RotationRolledBack',
            details: { step: 'deliver', cause: { type: 'NotSynced' } },
          });
          expect({ value: await stage.current('shared'), data: await dataNow() }).toEqual(before);
        }
      }
    },

    async 'what was brought to one after another is taken back from the others although one cannot be yet'() {
      const names = ['first', 'second'];
      const dependents = names.map((deployment) =>
        stage.dependentOn('in-order', { ...WHOLE, name: deployment, workloads: [{ deployment }] }),
      );
      await createSubject(stage.bed, 'app-secret', 'in-order', { dependents, delivery: { order: 'in-order' } });
      await stage.deploy('in-order', { deployments: names });
      const point = { secretId: stage.bed.secrets.idOf('in-order'), when: 'after' as const, ...RESTART };
      await stage.bed.pauses.stopAt(point);
      const handle = await stage.bed.start('in-order');
      await stage.bed.pauses.reached(point);
      expect(await stage.restartedFor('first', 'in-order')).toBe(handle.firstExecutionRunId);
      expect(await stage.restartedFor('second', 'in-order')).toBeUndefined();
      for (const name of names) await pause(name, true);
      await stage.bed.pauses.goOn(point);
      await inPhase(handle, 'rolling-back');
      await pause('second', false);
      await until('the second is taken back', async () =>
        (await stage.restartedFor('second', 'in-order'))?.includes('.after.'),
      );
      expect(await stage.restartedFor('first', 'in-order')).toBe(handle.firstExecutionRunId);
      await pause('first', false);
      expect(await failureOf(handle.result())).toMatchObject({ type: 'RotationRolledBack' });
      expect(await stage.restartedFor('first', 'in-order')).toContain('.after.');
    },

    async 'where Reloader does not run, a rollback ends soon and says what is left to do'() {
      const before = await deployed('unreloaded', { restart: 'reloader', timeout: '4 seconds' });
      const { type, message, details } = await failureOf(stage.bed.rotate('unreloaded'));
      expect({ type, details }).toMatchObject({
        type: 'RollbackIncomplete',
        details: { cause: { type: 'RolloutFailed' }, leftToDo: [{ step: 'deliver', cause: { type: 'NotRestarted' } }] },
      });
      expect(message).toContain(`kubectl -n ${stage.namespace} rollout restart deployment/unreloaded`);
      expect(await stage.held('unreloaded')).toBe(before);
      expect(await stage.current('unreloaded')).toBe(before);
    },

    async "Reloader's restart is seen although the operator has written the Secret's annotations since"() {
      await deployed('annotated', { restart: 'reloader' });
      const handle = await changingBefore('annotated', RESTART, async () => {
        const annotations = { 'reloader.example.com/at': new Date().toISOString() };
        await patch('deployments', 'annotated', { spec: { template: { metadata: { annotations } } } });
        // The API server notes times in whole seconds.
        await delay(2_100);
        const note = { 'note.example.com/by': 'somebody' };
        await patch('externalsecrets', 'annotated', { metadata: { annotations: note } });
        await until('the operator has handed it down', async () => {
          const found = await stage.cluster.request<{ metadata: { annotations?: object } }>(
            'GET',
            stage.path('secrets', 'annotated'),
          );
          return 'note.example.com/by' in (found?.metadata.annotations ?? {});
        });
      });
      expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    },

    async 'a workload that never becomes available by itself: refused before anything is changed'() {
      await deployed('stuck', {}, {}, { spec: { progressDeadlineSeconds: 2 } });
      await neverReady('stuck', 'x');
      await until('it is stuck', async () => {
        const found = await stage.cluster.request<{ status: { conditions: { reason: string }[] } }>(
          'GET',
          stage.path('deployments', 'stuck'),
        );
        return found?.status.conditions.some(({ reason }) => reason === 'ProgressDeadlineExceeded');
      });
      expect(await refusedBecauseUnavailable('stuck', 'RolloutFailed')).toContain('ProgressDeadlineExceeded');
    },

    async 'a workload that is not available for the whole stepTimeout: the same; one that becomes available is waited for'() {
      await deployed('late', {}, { stepTimeout: '9 seconds' });
      await neverReady('late', 'x');
      expect(await refusedBecauseUnavailable('late', 'DependentUnhealthy')).toMatch(/of 1 pods 1 are updated/);
      await stage.bed.declare({
        late: { type: 'app-secret', dependents: [stage.dependentOn('late', WHOLE)], stepTimeout: '5 minutes' },
      });
      const handle = await stage.bed.start('late');
      await delay(3_000);
      await neverReady('late', null);
      expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    },

    async 'in an emergency, and back to the version before, an unavailable workload does not stand in the way'() {
      await deployed('urgent');
      const createCandidate = { step: 'createCandidate' };
      for (const how of [{ emergency: true }, { workflow: 'rollbackSecret' }]) {
        await neverReady('urgent', 'x');
        const handle = await changingBefore('urgent', createCandidate, () => neverReady('urgent', null), how);
        expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
      }
    },
  });

  test('what a template made of nothing new is taken back while the operator is still down, and restarts nothing', async () => {
    const before = await deployed(
      'templated',
      { expect: 'any-change', syncTimeout: '4 seconds' },
      {},
      { externalSecret: { target: { name: 'templated', template: { data: { password: '{{ .password }}' } } } } },
    );
    await stage.operator.stop();
    try {
      const { type, message } = await failureOf(stage.bed.rotate('templated'));
      expect({ type, message }).toMatchObject({ type: 'RotationRolledBack' });
    } finally {
      await stage.operator.start();
    }
    expect(await stage.current('templated')).toBe(before);
    expect(await stage.held('templated')).toBe(before);
    expect(await stage.restarts('templated')).toBe(0);
  });
});
