import { APP_SECRET_POLICY } from '../../src/rotation/password-policy';
import type { ApiKeyPlan, DatabasePlan, RotationPlan } from '../../src/rotation/plan';
import type { RotationContext, Step } from '../../src/workflows/saga/step';
import type { Kind } from './subjects';

/** What the recipes' steps are asked with, so that tests know which of them there are and what they do, without a rotation. */

/** What a step may have its reason in. */
export interface Reason {
  /** What happens to the secret first. */
  afterOne?: 'rotated' | 'terminated';
  emergency?: true;
}

/** Some steps there are only in a rotation that finds what a terminated one left, or in an emergency. */
const REASONS: Reason[] = [{}, { afterOne: 'terminated' }, { emergency: true }];

const LOOK = {
  lookAtDependents: 'only where a workload is given the version: the tests of deliveries to Kubernetes and ECS',
  backUp: 'only where the catalog says so: backup-before-rotation.test.ts',
};

/** Steps of which no secret of the tests has need. */
const NEVER: Record<Kind, Record<string, string>> = {
  'app-secret': LOOK,
  'single-user': LOOK,
  'alternating-users': LOOK,
  'api-key': {
    ...LOOK,
    waitForExpiry:
      'only where the provider itself ends the old key, which has no way back from createKey on: api-key-amazon-rotation.test.ts',
  },
};

/**
 * In which rotation there is a step; `undefined` where that is none of those in the tests.
 *
 * @throws Error for a new step that nobody has said a word about.
 */
export function reasonFor(kind: Kind, step: Step<RotationPlan>): Reason | undefined {
  const reason = REASONS.find((possible) => step.when?.(contextOf(kind, possible)) ?? true);
  if (!reason && !NEVER[kind][step.name]) throw new Error(`in which situation is there the step ${step.name}?`);
  return reason;
}

export function contextOf(kind: Kind, { afterOne, emergency }: Reason = {}): RotationContext {
  return {
    plan: planOf(kind),
    input: { environment: 'test', secret: 'secret', emergency },
    found: { exists: true, labels: { current: 'current', pending: afterOne && 'stale' } },
    candidate: 'candidate',
    goingBack: false,
    warnings: [],
    oldLoginInUse: false,
    kubernetes: { resourceVersions: {}, revisions: {}, changedAt: {} },
    ecs: { since: {}, done: [] },
    keys: {
      leftovers: afterOne === 'terminated',
      old: 'old',
      announcements: 0,
      lastAnnouncement: 0,
      can: { tellUse: true, deactivate: true, delete: true },
    },
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
    case 'api-key':
      return {
        ...shared,
        type: 'api-key',
        secondarySecretId: 'test/secret-secondary',
        provider: { name: 'aws-iam', userName: 'shop' },
        fields: { id: 'id', value: 'value' },
        gracePeriodMs: 1_000,
        maxGracePeriodMs: 1_000,
        phaseIn: [],
        quietPeriodMs: 1_000,
        onStillUsed: 'fail',
      } satisfies ApiKeyPlan;
  }
}
