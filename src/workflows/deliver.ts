import type { Dependent, EcsDependent, HttpDependent, KubernetesDependent } from '../rotation/dependents';
import type { RotationPlan } from '../rotation/plan';
import { isInForce } from './changes';
import { deliverTo } from './deliver-to';
import type { StepActivities } from './saga/activities';
import { causeOf } from './saga/failures';
import { all, throwTogether } from './saga/parts';
import { PartsFailed } from './saga/parts-failed';
import type { RotationContext, Step } from './saga/step';
import { Slots } from './slots';

const nameOf = ({ name }: Dependent) => name;
const namesOf = ({ plan }: RotationContext) => plan.dependents.map(nameOf).join(', ') || 'no dependents';

/** Those that read the secret themselves, and are only asked how they are. */
export const isAsked = (dependent: Dependent): dependent is HttpDependent => dependent.kind === 'http';

/** Those that are given the version. */
export const isGiven = (dependent: Dependent): dependent is KubernetesDependent | EcsDependent => !isAsked(dependent);

/** A workload that is missing would only be found after the secret had changed. */
export const lookAtDependents: Step<RotationPlan> = {
  name: 'lookAtDependents',
  summary: ({ plan }) => {
    const names = plan.dependents.filter(isGiven).map(nameOf);
    return `look whether ${names.join(', ') || 'the dependents'} can be given a new version`;
  },
  when: ({ plan }) => plan.dependents.some(isGiven),
  onlyLooks: true,
  run: async (context, { read }) => {
    const seen = await read.lookAtDependents({
      dependents: context.plan.dependents.filter(isGiven),
      mustBeAvailable: mustBeAvailable(context),
      fieldsOf: context.goingBack ? context.candidate : context.found.labels.current,
    });
    // What began with older workers has no answer.
    Object.assign(context.kubernetes.resourceVersions, seen?.resourceVersions);
    Object.assign(context.kubernetes.revisions, seen?.revisions);
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
    summary: (context) => deliverAgain(namesOf(context)),
    afterTheOthers: true,
    leaves: (context) => (context.found.labels.current ? undefined : whatKeepsTheFirst(context)),
    run: async (context, activities) => {
      const { current } = context.found.labels;
      if (current) await deliverVersion(context, activities, current);
    },
  },
};

/** What may go on with a secret's first version, of which there is none before. */
function whatKeepsTheFirst({ plan: { dependents, secretId }, found }: RotationContext): string[] {
  return dependents.filter(isGiven).map((dependent) => {
    const what = found.exists
      ? `the version that ${secretId} keeps as AWSCURRENT`
      : `what ${secretId} held, which this rollback deletes: rotate again, or take it away there`;
    return `${usersOf(dependent)} may have ${what}. It was the first, so that there is none to deliver instead.`;
  });
}

function usersOf(dependent: KubernetesDependent | EcsDependent): string {
  if (dependent.kind === 'ecs')
    return `The tasks of ${dependent.services.join(', ')} in the ECS cluster ${dependent.cluster}`;
  const { context, namespace, secret } = dependent;
  const where = context === undefined ? '' : ` in the cluster of context ${context}`;
  return `The Secret ${namespace}/${secret}${where}, and the pods that use it,`;
}

const deliverAgain = (names: string) => `deliver the old version to ${names} again`;

const MOST_RESTARTS = 10;
/**
 * For how long an activity of a delivery that goes back is begun again. When all have ended, all that failed are tried again: one that
 * was out of reach for a day must not keep another waiting that somebody has mended meanwhile.
 */
const PATIENCE_GOING_BACK_MS = 5 * 60_000;

/** First to those that are given the version, then a look at the health of those that are only asked. */
async function deliverVersion(context: RotationContext, activities: StepActivities, versionId: string): Promise<void> {
  const { dependents, delivery } = context.plan;
  const given = dependents.filter(isGiven);
  const isForward = versionId === context.candidate;
  const isApart = !isForward && isInForce('undoing-waits-for-no-other-dependent');
  // What is undone is undone wherever it can be; going forward, one failure is enough to stop for.
  const newSlots = () => new Slots(delivery?.maxRestartsAtOnce ?? MOST_RESTARTS, isForward);
  const slotsOf = isApart ? onePerCluster(newSlots) : onlyOne(newSlots());
  const give = (dependent: Dependent) =>
    deliverTo(dependent, {
      context,
      activities,
      versionId,
      slots: slotsOf(dependent),
      ...(isApart && { patienceMs: PATIENCE_GOING_BACK_MS }),
    });
  const bring = (dependent: Dependent) => orStop(slotsOf(dependent), give(dependent));
  const giveBack = (dependent: Dependent) => orLeave(dependent.name, give(dependent));
  const giveOne = isForward ? bring : giveBack;
  if (isApart || !delivery?.inOrder) await all(given.map(giveOne));
  else if (isForward) for (const dependent of given) await giveOne(dependent);
  else await eachInOrder(given, giveOne);
  const asking = askHealth(context, activities, versionId);
  await (isForward ? asking : orLeave(dependents.filter(isAsked).map(nameOf).join(', '), asking));
}

/** Lets no restart begin any more after a failure: after that of a sync, too. */
async function orStop(slots: Slots, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (isInForce('a-failed-sync-stops-restarts')) slots.stop(error);
    throw error;
  }
}

/** Says, of what could not be undone, to whom the old version has still to be delivered. */
async function orLeave(names: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new PartsFailed([{ todo: deliverAgain(names), cause: causeOf(error) }]);
  }
}

const onlyOne = (slots: Slots) => () => slots;

/** A cluster out of reach takes no turn from the workloads of the others. */
function onePerCluster(newSlots: () => Slots): (dependent: Dependent) => Slots {
  const slots: Record<string, Slots> = {};
  return (dependent) => (slots[clusterOf(dependent)] ??= newSlots());
}

function clusterOf(dependent: Dependent): string {
  if (dependent.kind === 'http') return dependent.kind;
  return `${dependent.kind} ${dependent.kind === 'ecs' ? dependent.cluster : (dependent.context ?? '')}`;
}

/** What runs of before do: one after another, and on after a failure. */
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
  throwTogether(failures);
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
