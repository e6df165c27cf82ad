import { failure } from '../src/activities/failures';
import type { KubernetesDependent } from '../src/rotation/dependents';
import { Cause } from '../src/rotation/errors';
import { openFakeDeliveries, OLD } from './testbed/fake-deliveries';
import type { FakeDeliveries } from './testbed/fake-deliveries';
import { DEPENDENT } from './testbed/kubernetes';
import { failureOf } from './testbed/testbed';

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
