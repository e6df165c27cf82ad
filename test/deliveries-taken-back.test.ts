import { failure } from '../src/activities/failures';
import type { KubernetesDependent } from '../src/rotation/dependents';
import { Cause } from '../src/rotation/errors';
import type { RollbackIncompleteDetails, RolledBackDetails } from '../src/rotation/errors';
import { openFakeDeliveries, OLD } from './testbed/fake-deliveries';
import type { FakeDeliveries } from './testbed/fake-deliveries';
import { DEPENDENT } from './testbed/kubernetes';
import { failureOf } from './testbed/testbed';
import { until } from './testbed/until';

let fakes: FakeDeliveries;
beforeAll(async () => {
  fakes = await openFakeDeliveries();
});
afterAll(() => fakes.close());

/** A dependent in a cluster of its own, with one Deployment of its name. */
const inCluster = (context: string, more: Partial<KubernetesDependent> = {}): KubernetesDependent => ({
  ...DEPENDENT,
  name: context,
  context,
  workloads: [{ kind: 'Deployment', name: context }],
  ...more,
});

/** A promise, and what fulfils it. */
function open(): { come: Promise<void>; let: () => void } {
  let fulfil: () => void = () => undefined;
  const come = new Promise<void>((resolve) => {
    fulfil = resolve;
  });
  return { come, let: () => fulfil() };
}

describe('while one cluster is out of reach', () => {
  const HELD_UP = {
    'one after another': { delivery: { inOrder: true }, at: 'sync' },
    'all at once, one restart at a time': { delivery: { maxRestartsAtOnce: 1 }, at: 'restart' },
  } as const;

  test.each(Object.entries(HELD_UP))('the others are taken back: %s', async (_how, { delivery, at }) => {
    let isOutOfReach = true;
    const reach = async (context: string | undefined, versionId: string, what: string) => {
      if (isOutOfReach && context === 'eu' && versionId === OLD && what === at) {
        throw failure(Cause.TargetUnavailable, 'The API server of eu was out of reach.');
      }
    };
    const back = open();
    const handle = await fakes.start({
      dependents: [inCluster('eu'), inCluster('us')],
      delivery,
      outside: {
        syncToKubernetes: ({ dependent, versionId }) => reach(dependent.context, versionId, 'sync'),
        async restartWorkload({ dependent, versionId }) {
          await reach(dependent.context, versionId, 'restart');
          if (dependent.context !== 'us') return;
          if (versionId === OLD) back.let();
          else throw failure(Cause.RolloutFailed, 'The Deployment us never gets ready.');
        },
      },
    });
    await back.come;
    const { raw } = await handle.describe();
    const waitsIn = at === 'sync' ? 'syncToKubernetes' : 'restartWorkload';
    expect(raw.pendingActivities?.map(({ activityType }) => activityType?.name)).toContain(waitsIn);
    // What fails elsewhere is tried again when all have ended, and so each has to end soon.
    const { events } = await handle.fetchHistory();
    const scheduled = events?.flatMap(({ activityTaskScheduledEventAttributes: about }) => about ?? []) ?? [];
    expect(Number(scheduled.at(-1)?.scheduleToCloseTimeout?.seconds)).toBeLessThanOrEqual(30 + 60 + 5 * 60);
    isOutOfReach = false;
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RotationRolledBack',
      details: { cause: { message: 'The Deployment us never gets ready.' } },
    });
  });
});

test('what is left to do is said of each dependent that is not back, and why', async () => {
  const failures: Record<string, ReturnType<typeof failure>> = {
    paused: failure(Cause.RolloutFailed, 'The Deployment paused: it is paused.'),
    denied: failure(Cause.PermissionDenied, 'The worker may not patch deployments shop/denied'),
  };
  const handle = await fakes.start({
    dependents: ['done', 'paused', 'denied'].map((context) => inCluster(context)),
    rollbackMs: 3_000,
    outside: {
      async restartWorkload({ dependent: { name }, versionId }) {
        if (versionId !== OLD) throw failure(Cause.RolloutFailed, 'No Deployment gets ready.');
        if (failures[name]) throw failures[name];
      },
    },
  });
  const { type, message, details } = await failureOf(handle.result());
  expect(type).toBe('RollbackIncomplete');
  const leftToDo = Object.entries(failures).map(([name, cause]) => ({
    step: 'deliver',
    todo: `deliver the old version to ${name} again`,
    cause: { type: cause.type, message: cause.message },
  }));
  expect(details).toMatchObject({ cause: { message: 'No Deployment gets ready.' }, leftToDo });
  expect((details as RollbackIncompleteDetails).undone.join()).not.toContain('deliver');
  for (const { todo, cause } of leftToDo) expect(message).toContain(`${todo} (${cause.message})`);
});

test('a delivery that fails in several places says all of them, each once', async () => {
  const underWay = new Set<string>();
  const allBegun = open();
  const handle = await fakes.start({
    dependents: ['one', 'two', 'three'].map((context) => inCluster(context)),
    outside: {
      async restartWorkload({ dependent: { name }, versionId }) {
        if (versionId === OLD) return;
        // None begins any more once one has failed.
        if (underWay.add(name).size === 3) allBegun.let();
        await allBegun.come;
        const why = name === 'three' ? 'The worker may not patch deployments' : 'No Deployment gets ready';
        throw failure(Cause.RolloutFailed, why);
      },
    },
  });
  expect(await failureOf(handle.result())).toMatchObject({
    type: 'RotationRolledBack',
    message: expect.stringContaining(
      'deliver failed: No Deployment gets ready. The worker may not patch deployments.',
    ) as string,
  });
});

test('once a sync has failed, no other workload is restarted with the new version', async () => {
  const [isBegun, isNoted] = [open(), open()];
  const restarted: string[] = [];
  const handle = await fakes.start({
    dependents: [
      inCluster('first', { workloads: ['one', 'two'].map((name) => ({ kind: 'Deployment', name })) }),
      inCluster('second'),
    ],
    delivery: { maxRestartsAtOnce: 1 },
    outside: {
      async syncToKubernetes({ dependent: { name }, versionId }) {
        if (versionId === OLD || name === 'first') return;
        await isBegun.come;
        throw failure(Cause.NotSynced, 'The Secret second did not get the version.');
      },
      async restartWorkload({ workload: { name }, versionId }) {
        if (versionId === OLD) return;
        restarted.push(name);
        isBegun.let();
        await isNoted.come;
      },
    },
  });
  await until('the rotation has heard of the failure', async () => {
    const events = (await handle.fetchHistory()).events ?? [];
    const failed = events.findIndex((event) => event.activityTaskFailedEventAttributes);
    return failed >= 0 && events.slice(failed).some((event) => event.workflowTaskCompletedEventAttributes);
  });
  isNoted.let();
  expect(await failureOf(handle.result())).toMatchObject({
    type: 'RotationRolledBack',
    details: { cause: { type: 'NotSynced', message: 'The Secret second did not get the version.' } },
  });
  expect(restarted).toEqual(['one']);
});

test.each([
  ['a secret that there was not is deleted', { exists: false }, /held, which this rollback deletes: rotate again, or /],
  ['a secret without a version keeps the new one', { exists: true }, /keeps as AWSCURRENT\. /],
])(
  'of the first version nothing is said to be taken back; what may have it is named: %s',
  async (_what, found, why) => {
    const handle = await fakes.start({
      dependents: [
        inCluster('shop'),
        { kind: 'ecs', name: 'cart', cluster: 'cart', services: ['api', 'worker'], timeoutMs: 30_000 },
        { kind: 'http', name: 'asked', healthUrl: '', expectStatus: 200, timeoutMs: 1_000 },
      ],
      found: { ...found, labels: {} },
      outside: {
        restartWorkload: () => Promise.reject(failure(Cause.RolloutFailed, 'No Deployment gets ready.')),
      },
    });
    const { type, message, details } = await failureOf(handle.result());
    const { undone, warnings } = details as RolledBackDetails;
    expect(type).toBe('RotationRolledBack');
    expect(undone.join()).not.toContain('deliver');
    expect(warnings).toEqual([
      expect.stringMatching(
        /^The Secret shop\/orders-db in the cluster of context shop, and the pods that use it, may have /,
      ),
      expect.stringMatching(/^The tasks of api, worker in the ECS cluster cart may have /),
    ]);
    for (const warning of warnings ?? []) {
      expect(warning).toMatch(why);
      expect(message).toContain(warning);
    }
  },
);
