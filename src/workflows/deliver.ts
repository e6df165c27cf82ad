import type { Dependent, HttpDependent } from '../rotation/dependents';
import type { RotationPlan } from '../rotation/plan';
import type { StepActivities } from './saga/activities';
import type { RotationContext, Step } from './saga/step';

const namesOf = ({ plan }: RotationContext) => plan.dependents.map(({ name }) => name).join(', ') || 'no dependents';

/** Those that read the secret themselves, and are only asked how they are. */
export const isAsked = (dependent: Dependent): dependent is HttpDependent => dependent.kind === 'http';

/** Those that are given the version. */
export const isGiven = (dependent: Dependent) => !isAsked(dependent);

/** A workload that is missing would only be found after the secret had changed. */
export const lookAtDependents: Step<RotationPlan> = {
  name: 'lookAtDependents',
  summary: ({ plan }) => {
    const names = plan.dependents.filter(isGiven).map(({ name }) => name);
    return `look whether ${names.join(', ') || 'the dependents'} can be given a new version`;
  },
  when: ({ plan }) => plan.dependents.some(isGiven),
  onlyLooks: true,
  run: ({ plan }, { read }) => read.lookAtDependents({ dependents: plan.dependents.filter(isGiven) }),
};

/** Brings AWSCURRENT to the workloads and sees them work with it. */
export const deliver: Step<RotationPlan> = {
  name: 'deliver',
  summary: (context) => `deliver to ${namesOf(context)} and see them healthy`,
  when: ({ plan }) => plan.dependents.length > 0,
  run: (context, activities) => deliverVersion(context, activities, context.candidate),
  undo: {
    summary: (context) => `deliver the old version to ${namesOf(context)} again`,
    afterTheOthers: true,
    run: async (context, activities) => {
      const { current } = context.found.labels;
      if (current) await deliverVersion(context, activities, current);
    },
  },
};

const MOST_RESTARTS = 10;

/** First to those that are given the version, then a look at the health of those that are only asked. */
async function deliverVersion(context: RotationContext, activities: StepActivities, versionId: string): Promise<void> {
  const { dependents, delivery } = context.plan;
  const given = dependents.filter(isGiven);
  // What is undone is undone wherever it can be; going forward, one failure is enough to stop for.
  const restarting = slots(delivery?.maxRestartsAtOnce ?? MOST_RESTARTS, versionId === context.candidate);
  const give = (dependent: Dependent) => deliverTo(dependent, versionId, activities, restarting);
  if (delivery?.inOrder) for (const dependent of given) await give(dependent);
  else await all(given.map(give));
  await askHealth(context, activities, versionId);
}

/** Looks at the health of the dependents that read the secret themselves. */
export async function askHealth(
  context: RotationContext,
  activities: StepActivities,
  versionId: string,
): Promise<void> {
  const asked = context.plan.dependents.filter(isAsked);
  if (asked.length === 0) return;
  const patience = Math.max(...asked.map(({ timeoutMs }) => timeoutMs));
  // The activity knows when the dependents' time is over; what comes on top is for workers that are down or busy.
  await activities.wait(patience + context.plan.timeouts.stepMs).deliver({ versionId, dependents: asked });
}

async function deliverTo(
  dependent: Dependent,
  versionId: string,
  { waitLong }: StepActivities,
  restarting: Slots,
): Promise<void> {
  switch (dependent.kind) {
    case 'http':
      return;
    case 'kubernetes': {
      const { workloads, restart, syncTimeoutMs, timeoutMs } = dependent;
      await waitLong(syncTimeoutMs).syncToKubernetes({ versionId, dependent });
      if (restart === 'none') return;
      await all(
        workloads.map((workload) =>
          restarting(() => waitLong(timeoutMs).restartWorkload({ versionId, dependent, workload })),
        ),
      );
      return;
    }
    case 'ecs':
      await all(
        dependent.services.map((service) =>
          restarting(() =>
            waitLong(dependent.timeoutMs).deployToEcs({ versionId, dependent, service, since: Date.now() }),
          ),
        ),
      );
  }
}

/** Waits for all of them also when one fails: what still runs must not take effect after it was undone. */
async function all(works: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

type Slots = (work: () => Promise<void>) => Promise<void>;

/**
 * Lets so many works run at once; the others wait in order.
 *
 * @param stopAtFailure lets none begin any more once one has failed.
 */
function slots(count: number, stopAtFailure: boolean): Slots {
  let free = count;
  let failed: { reason: unknown } | undefined;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free--;
    try {
      if (stopAtFailure && failed) throw failed.reason;
      await work();
    } catch (error) {
      failed ??= { reason: error };
      throw error;
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
