import type { DatabasePlan, RotationPlan } from '../../src/rotation/plan';
import { APP_SECRET_POLICY } from '../../src/rotation/password-policy';
import type { Does } from '../../src/workflows/saga/activities';
import type { RotationContext, Step } from '../../src/workflows/saga/step';
import { RECIPES } from './subjects';
import type { Kind } from './subjects';

/** The activities that every rotation begins and ends with, besides its recipe's; each is its own step. */
export const FIRST_STEPS = ['loadPlan', 'inspectSecret'];
export const LAST_STEP = 'recordOutcome';

export type When = 'before' | 'during' | 'after';

/** An instant of a rotation, going forward or undoing, at which its worker dies. */
export interface KillPoint {
  kind: Kind;
  step: string;
  /** Absent for a step that only waits. */
  activity?: string;
  when: When;
  undoing: boolean;
  /** What happens to the secret first: only a rotation that finds the candidate of a terminated one gets to some points. */
  afterOne?: 'rotated' | 'terminated';
}

/** All steps of a kind's rotations, in order. */
export const stepsOf = (kind: Kind) => [...FIRST_STEPS, ...RECIPES[kind].map(({ name }) => name), LAST_STEP];

/** The steps that a rotation undoes, and what it does after them. */
export const undoneSteps = (kind: Kind) => [
  ...RECIPES[kind].filter(({ undo }) => undo).map(({ name }) => name),
  LAST_STEP,
];

/** Before and after each activity of each step, as the recipe itself says them. */
export async function killPoints(kind: Kind): Promise<KillPoint[]> {
  const usual = contextOf(kind, {});
  const points: KillPoint[] = [];
  const add = (step: string, activities: (string | undefined)[], undoing: boolean, afterOne?: 'terminated') => {
    for (const activity of activities) {
      for (const when of ['before', 'after'] as const) {
        points.push({ kind, step, activity, when, undoing, afterOne });
      }
    }
  };
  for (const step of FIRST_STEPS) add(step, [step], false);
  for (const step of RECIPES[kind]) {
    const afterOne = step.when?.(usual) === false ? 'terminated' : undefined;
    const context = afterOne ? contextOf(kind, { pending: 'stale' }) : usual;
    add(step.name, await activitiesOf((does) => step.run(context, does)), false, afterOne);
    if (step.undo) add(step.name, await activitiesOf(undoOf(step, context)), true);
  }
  for (const undoing of [false, true]) add(LAST_STEP, [LAST_STEP], undoing);
  return points;
}

const undoOf = (step: Step<RotationPlan>, context: RotationContext) => async (does: Does) =>
  step.undo?.run(context, does);

/** The types of the activities that some work performs, found out by letting it run without effect. */
async function activitiesOf(work: (does: Does) => Promise<void>): Promise<(string | undefined)[]> {
  const performed = new Set<string | undefined>();
  const recording = new Proxy(
    {},
    {
      get: (_target, activity: string) => () => {
        performed.add(activity);
        return Promise.resolve();
      },
    },
  );
  const waiting = () => {
    performed.add(undefined);
    return Promise.resolve();
  };
  await work({ read: recording, write: recording, wait: recording, waitOutGracePeriod: waiting } as Does);
  return [...performed];
}

function contextOf(kind: Kind, { pending }: { pending?: string }): RotationContext {
  return {
    plan: planOf(kind),
    input: { environment: 'test', secret: 'secret' },
    found: { exists: true, labels: { current: 'current', pending } },
    candidate: 'candidate',
    goingBack: false,
    warnings: [],
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
