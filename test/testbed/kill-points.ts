import type { StepActivities } from '../../src/workflows/saga/activities';
import type { RotationPlan } from '../../src/rotation/plan';
import type { Step } from '../../src/workflows/saga/step';
import { contextOf, reasonFor } from './recipe-contexts';
import type { Reason } from './recipe-contexts';
import { stepsReached } from './subjects';
import type { Kind } from './subjects';

/** The activities that every rotation begins and ends with, besides its recipe's; each is its own step. */
const FIRST_STEPS = ['loadPlan', 'inspectSecret'];
const LAST_STEP = 'recordOutcome';

/** `anywhere`: no step is meant, and the worker dies under the rotation wherever that has got to. */
export type When = 'before' | 'during' | 'after' | 'anywhere';

/** An instant of a rotation, going forward or undoing, at which its worker dies. */
export interface KillPoint extends Reason {
  kind: Kind;
  step: string;
  /** Absent for a step that only waits, and where any of the step's activities will do. */
  activity?: string;
  when: When;
  undoing: boolean;
  /** During an activity of an API key: the request to its service that takes effect and is not answered, such as `POST /keys`. */
  request?: string;
}

/** All steps of a kind's rotations, in order. */
export const stepsOf = (kind: Kind) => [...FIRST_STEPS, ...stepsReached(kind).map(({ name }) => name), LAST_STEP];

/** A kind, and what happened to the secret before: for titles. */
export const titleOf = ({ kind, afterOne }: KillPoint) => (afterOne ? `${kind}, after one was ${afterOne}` : kind);

/** How a step is undone in a kind's rotations; `undefined` where it is not. */
function undoOf(kind: Kind, step: Step<RotationPlan>): Step<RotationPlan>['undo'] {
  const { undo } = step;
  return undo?.when?.(contextOf(kind, reasonFor(kind, step))) === false ? undefined : undo;
}

/** The steps that a rotation undoes, and what it does after them. */
export const undoneSteps = (kind: Kind) => [
  ...stepsReached(kind)
    .filter((step) => undoOf(kind, step))
    .map(({ name }) => name),
  LAST_STEP,
];

/** Before and after each activity of each step, as the recipe itself says them. */
export async function killPoints(kind: Kind): Promise<KillPoint[]> {
  const points: KillPoint[] = [];
  const add = (of: Pick<KillPoint, 'step' | 'undoing' | keyof Reason>, activities: (string | undefined)[]) =>
    points.push(
      ...activities.flatMap((activity) =>
        (['before', 'after'] as const).map((when) => ({ kind, activity, when, ...of })),
      ),
    );
  for (const step of FIRST_STEPS) add({ step, undoing: false }, [step]);
  for (const step of stepsReached(kind)) {
    const reason = reasonFor(kind, step);
    const context = contextOf(kind, reason);
    const { name } = step;
    const undo = undoOf(kind, step);
    add({ step: name, undoing: false, ...reason }, await activitiesOf((does) => step.run(context, does)));
    if (undo) add({ step: name, undoing: true }, await activitiesOf((does) => undo.run(context, does)));
  }
  for (const undoing of [false, true]) add({ step: LAST_STEP, undoing }, [LAST_STEP]);
  return points;
}

/** What activities answer, as far as steps look at it. */
const ANSWER = { settingsLeftOut: [], left: 0 };

/** The types of the activities that some work performs, found out by letting it run without effect; none where it only waits. */
async function activitiesOf(work: (does: StepActivities) => Promise<void>): Promise<(string | undefined)[]> {
  const performed = new Set<string | undefined>();
  const record = (activity: string | undefined) => () => {
    performed.add(activity);
    return Promise.resolve(ANSWER);
  };
  const recording = new Proxy({} as StepActivities['read'] & StepActivities['write'], {
    get: (_target, name) => record(String(name)),
  });
  const waiting = () => record(undefined)().then(() => undefined);
  await work({
    read: recording,
    write: recording,
    wait: () => recording,
    waitLong: () => recording,
    waitOutGracePeriod: waiting,
    pauseUntil: waiting,
    tell: waiting,
    graceStart: () => 0,
    graceWasEnded: () => false,
    show: () => undefined,
  });
  return [...performed];
}
