import { workflowInfo } from '@temporalio/workflow';
import type {
  BroughtBack,
  Dependent,
  EcsDependent,
  EcsUndoing,
  HttpDependent,
  KubernetesDependent,
  Workload,
} from '../rotation/dependents';
import { secretPlace } from '../rotation/dependents';
import { Cause } from '../rotation/errors';
import type { RotationPlan } from '../rotation/plan';
import { isInForce } from './changes';
import type { StepActivities } from './saga/activities';
import { causeOf } from './saga/failures';
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
  run: async (context, { read }) => {
    const seen = await read.lookAtDependents({
      dependents: context.plan.dependents.filter(isGiven),
      mustBeAvailable: mustBeAvailable(context),
    });
    // What began with older workers has no answer.
    Object.assign(context.kubernetes.resourceVersions, seen?.resourceVersions);
  },
};

/**
 * A rotation of what works ends with workloads that work. Going back, bringing AWSCURRENT once more, or a first version may be what an
 * unavailable workload waits for, and an emergency does not wait for anybody.
 */
function mustBeAvailable({ input, goingBack, found: { labels }, candidate }: RotationContext): boolean {
  return !input.emergency && !goingBack && labels.current !== undefined && labels.current !== candidate;
}

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
  const isForward = versionId === context.candidate;
  // What is undone is undone wherever it can be; going forward, one failure is enough to stop for.
  const restarting = slots(delivery?.maxRestartsAtOnce ?? MOST_RESTARTS, isForward);
  const give = (dependent: Dependent) => deliverTo(dependent, versionId, context, activities, restarting);
  if (!delivery?.inOrder) await all(given.map(give));
  else if (isForward) for (const dependent of given) await give(dependent);
  else await eachInOrder(given, give);
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
  context: RotationContext,
  activities: StepActivities,
  restarting: Slots,
): Promise<void> {
  const { waitLong } = activities;
  switch (dependent.kind) {
    case 'http':
      return;
    case 'kubernetes':
      return deliverToKubernetes(dependent, versionId, context, activities, restarting);
    case 'ecs':
      await all(
        dependent.services.map((service) =>
          restarting(async () => {
            const about = { since: Date.now(), undoing: undoingInEcs(versionId, context) };
            const deployed = await waitLong(dependent.timeoutMs).deployToEcs({
              versionId,
              dependent,
              service,
              ...about,
            });
            if (deployed?.gone) warnOnce(context, serviceGoneInWords(dependent, service));
          }),
        ),
      );
  }
}

async function deliverToKubernetes(
  dependent: KubernetesDependent,
  versionId: string,
  context: RotationContext,
  { waitLong }: StepActivities,
  restarting: Slots,
): Promise<void> {
  const { workloads, restart, syncTimeoutMs, timeoutMs } = dependent;
  const back = broughtBack(dependent, versionId, context);
  const sync = await waitLong(syncTimeoutMs).syncToKubernetes({ versionId, dependent, back });
  // No pod can have started with anything else.
  if (restart === 'none' || (back?.undoes !== undefined && sync?.untouched)) return;
  const { changedAt: known } = context.kubernetes;
  const arrival = `${secretPlace(dependent)} ${versionId}`;
  // Where it came earlier, what the Secret says now may be the time of something else that was written.
  const changedAt = sync?.came ? sync.changedAt : (known[arrival] ?? sync?.changedAt);
  if (changedAt !== undefined) known[arrival] = changedAt;
  const restartOne = async (workload: Workload) => {
    const restarted = await waitLong(timeoutMs).restartWorkload({ versionId, dependent, workload, back, changedAt });
    if (restarted?.gone) warnOnce(context, goneInWords(dependent, workload));
  };
  await all(workloads.map((workload) => restarting(() => restartOne(workload))));
}

/** What has to be said with a version that was AWSCURRENT when the rotation began. */
function broughtBack(
  dependent: KubernetesDependent,
  versionId: string,
  { candidate, found, kubernetes }: RotationContext,
): BroughtBack | undefined {
  if (versionId !== found.labels.current) return undefined;
  if (versionId === candidate) return {};
  const { firstExecutionRunId } = workflowInfo();
  return {
    undoes: candidate,
    // AWSPREVIOUS, or a version that AWS named, is the same when it is tried again.
    ...(candidate !== firstExecutionRunId && { undoneBy: firstExecutionRunId }),
    resourceVersion: kubernetes.resourceVersions[secretPlace(dependent)],
  };
}

function goneInWords({ namespace }: KubernetesDependent, { kind, name }: Workload): string {
  return `There is no ${kind} ${namespace}/${name} any more, so that it was not given the old version again.`;
}

/** What has to be said with a version by which the delivery of the candidate is undone. */
function undoingInEcs(versionId: string, { candidate, found }: RotationContext): EcsUndoing | undefined {
  if (versionId === candidate || versionId !== found.labels.current) return undefined;
  return { rotationBegan: workflowInfo().startTime.getTime() };
}

function serviceGoneInWords({ cluster }: EcsDependent, service: string): string {
  return `There is no service ${service} of the ECS cluster ${cluster} any more, so that it was not given the old version again.`;
}

/** A compensation may be tried many times. */
function warnOnce({ warnings }: RotationContext, warning: string): void {
  if (!warnings.includes(warning)) warnings.push(warning);
}

/** One after another, and on after a failure: what is undone is undone wherever it can be. */
async function eachInOrder<T>(each: T[], work: (one: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const one of each) {
    try {
      await work(one);
    } catch (error) {
      if (!isInForce('undoing-in-order-goes-on-after-a-failure')) throw error;
      failures.push(error);
    }
  }
  throwWorst(failures);
}

/** Waits for all of them also when one fails: what still runs must not take effect after it was undone. */
async function all(works: Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(works);
  throwWorst(ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : [])));
}

/** Of several, one that may pass counts before one that is not worth many tries. */
function throwWorst(failures: unknown[]): void {
  const [first] = failures;
  if (failures.length === 0) return;
  throw failures.find((error) => causeOf(error).type !== Cause.NotRestarted) ?? first;
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
