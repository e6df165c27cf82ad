import type { DatabasePlan, RotationPlan } from '../../src/rotation/plan';
import { APP_SECRET_POLICY } from '../../src/rotation/password-policy';
import type { StepActivities } from '../../src/workflows/saga/activities';
import type { RotationContext } from '../../src/workflows/saga/step';
import { RECIPES } from './subjects';
import type { Kind } from './subjects';

/** The activities that every rotation begins and ends with, besides its recipe's; each is its own step. */
const FIRST_STEPS = ['loadPlan', 'inspectSecret'];
const LAST_STEP = 'recordOutcome';

/** `anywhere`: no step is meant, and the worker dies under the rotation wherever that has got to. */
export type When = 'before' | 'during' | 'after' | 'anywhere';

/** An instant of a rotation, going forward or undoing, at which its worker dies. */
export interface KillPoint {
  kind: Kind;
  step: string;
  /** Absent for a step that only waits, and where any of the step's activities will do. */
  activity?: string;
  when: When;
  undoing: boolean;
  /** What happens to the secret first. */
  afterOne?: 'rotated' | 'terminated';
  emergency?: true;
}

/** Some steps have their reason only in a rotation that finds what a terminated one left, or in an emergency. */
const SITUATIONS: Pick<KillPoint, 'afterOne' | 'emergency'>[] = [{}, { afterOne: 'terminated' }, { emergency: true }];

/** All steps of a kind's rotations, in order. */
export const stepsOf = (kind: Kind) => [...FIRST_STEPS, ...RECIPES[kind].map(({ name }) => name), LAST_STEP];

/** A kind, and what happened to the secret before: for titles. */
export const titleOf = ({ kind, afterOne }: KillPoint) => (afterOne ? `${kind}, after one was ${afterOne}` : kind);

/** The steps that a rotation undoes, and what it does after them. */
export const undoneSteps = (kind: Kind) => [
  ...RECIPES[kind].filter(({ undo }) => undo).map(({ name }) => name),
  LAST_STEP,
];

/** Before and after each activity of each step, as the recipe itself says them. */
export async function killPoints(kind: Kind): Promise<KillPoint[]> {
  const points: KillPoint[] = [];
  const add = (
    of: Pick<KillPoint, 'step' | 'undoing' | 'afterOne' | 'emergency'>,
    activities: (string | undefined)[],
  ) =>
    points.push(
      ...activities.flatMap((activity) =>
        (['before', 'after'] as const).map((when) => ({ kind, activity, when, ...of })),
      ),
    );
  for (const step of FIRST_STEPS) add({ step, undoing: false }, [step]);
  for (const step of RECIPES[kind]) {
    const situation = SITUATIONS.find((possible) => step.when?.(contextOf(kind, possible)) ?? true);
    if (!situation) throw new Error(`in which situation is there the step ${step.name}?`);
    const context = contextOf(kind, situation);
    const { name, undo } = step;
    add({ step: name, undoing: false, ...situation }, await activitiesOf((does) => step.run(context, does)));
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
  await work({ read: recording, write: recording, wait: () => recording, waitOutGracePeriod: waiting });
  return [...performed];
}

function contextOf(kind: Kind, { afterOne, emergency }: (typeof SITUATIONS)[number]): RotationContext {
  return {
    plan: planOf(kind),
    input: { environment: 'test', secret: 'secret', emergency },
    found: { exists: true, labels: { current: 'current', pending: afterOne && 'stale' } },
    candidate: 'candidate',
    goingBack: false,
    warnings: [],
    oldLoginInUse: false,
  };
}

/** A plan by which no step is left out without need. */
function planOf(kind: Kind): RotationPlan {
  const shared = {
    environment: 'test',
    secret: 'secret',
    secretId: 'test/secret',
    password: APP_SECRET_POLICY,
    dependents: [{ kind: 'http' as const, name: 'a service', healthUrl: '', expectStatus: 200, timeoutMs: 1_000 }],
    timeouts: { stepMs: 1_000, rollbackMs: 1_000 },
  };
  const database: Omit<DatabasePlan, 'strategy'> = { ...shared, type: 'database', sslMode: 'disable' };
  switch (kind) {
    case 'app-secret':
      return { ...shared, type: 'app-secret' };
    case 'single-user':
      return { ...database, strategy: 'single-user' };
    case 'alternating-users':
      return {
        ...database,
        strategy: 'alternating-users',
        adminSecretId: 'test/admin',
        groupRole: 'group',
        gracePeriodMs: 1_000,
      };
  }
}
