import { isCancellation } from '@temporalio/workflow';
import { formatDuration } from '../rotation/durations';
import { Cause } from '../rotation/errors';
import type { DatabasePlan } from '../rotation/plan';
import {
  confirmCurrentLogin,
  endEarlierSessions,
  loginWithCandidate,
  proveOldPasswordRefused,
  sessionsLeft,
  settleLeftovers,
  targetOf,
  verifyAsApplication,
} from './database-steps';
import { causeOf } from './saga/failures';
import type { Recipe, RotationContext, Step } from './saga/step';
import { backUp } from './back-up';
import { deliver, lookAtDependents } from './deliver';
import { createCandidate, currentOf, promote } from './secret-steps';

const groupOf = ({ plan }: RotationContext<DatabasePlan>) => plan.groupRole ?? '';

const prepareLogin: Step<DatabasePlan> = {
  name: 'prepareLogin',
  summary: (context) =>
    `unlock the login that is not in use and set its password, or create it as a member of "${groupOf(context)}"`,
  run: async (context, { write }) => {
    const { settingsLeftOut } = await write.prepareLogin({
      versionId: context.candidate,
      modelVersionId: currentOf(context),
      groupRole: groupOf(context),
      target: targetOf(context),
    });
    if (settingsLeftOut.length > 0) {
      context.warnings.push(
        `The administrator may not set ${settingsLeftOut.join(', ')} for the other login. Set it by hand with ALTER ROLE, or (PostgreSQL 15 and later) GRANT SET ON PARAMETER to the administrator.`,
      );
    }
  },
  undo: {
    summary: ({ found }) =>
      found.labels.previous
        ? 'give the login that is not in use its earlier password again'
        : 'lock the login that is not in use',
    // Applications use the candidate's login until the old version has been delivered again.
    afterTheOthers: true,
    run: async (context, { write }) => {
      await write.restoreLogin({
        versionId: context.candidate,
        previousVersionId: context.found.labels.previous,
        locked: context.plan.gracePeriodMs !== undefined,
        target: targetOf(context),
      });
    },
  },
};

const gracePeriod: Step<DatabasePlan> = {
  name: 'gracePeriod',
  summary: ({ plan }) =>
    `let both logins work ${plan.gracePeriodMs === undefined ? 'until the next rotation' : `for ${formatDuration(plan.gracePeriodMs)}`}`,
  when: ({ plan }) => plan.gracePeriodMs !== undefined && plan.gracePeriodMs > 0,
  run: ({ plan }, { waitOutGracePeriod, graceStart }) =>
    waitOutGracePeriod({ endsAt: graceStart() + (plan.gracePeriodMs ?? 0) }),
};

/** What proves nothing about either login: an outage after weeks of use is no reason to undo them. */
const PROVES_NOTHING: readonly string[] = [
  Cause.TargetUnavailable,
  Cause.TargetBusy,
  Cause.Throttled,
  Cause.SessionsStillOpen,
  Cause.Unexpected,
];

/** Does what has to come before the old login is locked, and leaves it unlocked where that cannot be found out. */
async function beforeLocking(context: RotationContext<DatabasePlan>, look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    const cause = causeOf(error);
    if (isCancellation(error) || !PROVES_NOTHING.includes(cause.type)) throw error;
    context.oldLoginInUse = true;
    context.warnings.push(
      `The old login was not locked: ${cause.message} Its password changes with the next rotation.`,
    );
  }
}

/** Weeks may have passed since the candidate was proved in use, and people may have moved labels meanwhile. */
const verifyBeforeRetiring: Step<DatabasePlan> = {
  ...verifyAsApplication,
  name: 'verifyBeforeRetiring',
  phase: 'retiring',
  when: gracePeriod.when,
  run: (context, activities) => beforeLocking(context, () => verifyAsApplication.run(context, activities)),
};

const waitForSessionsToEnd: Step<DatabasePlan> = {
  name: 'waitForSessionsToEnd',
  summary: () => 'wait until the old login has no open session',
  phase: 'retiring',
  when: ({ plan, input, oldLoginInUse }) => plan.gracePeriodMs !== undefined && !input.emergency && !oldLoginInUse,
  // An application that holds on to a session works; taking its login away could only harm it.
  run: (context, { wait }) =>
    beforeLocking(context, () =>
      wait(context.plan.timeouts.stepMs).waitForSessionsToEnd({
        versionId: currentOf(context),
        target: targetOf(context),
      }),
    ),
};

const lockOldLogin: Step<DatabasePlan> = {
  name: 'lockOldLogin',
  summary: () => 'lock the old login',
  phase: 'retiring',
  when: ({ plan, oldLoginInUse }) => plan.gracePeriodMs !== undefined && !oldLoginInUse,
  pointOfNoReturn: () => true,
  run: (context, { write }) => write.lockLogin({ versionId: currentOf(context), target: targetOf(context) }),
};

/** Only for a login that leaked: what is open may be the thief's. */
const endOldSessions: Step<DatabasePlan> = {
  name: 'endOldSessions',
  summary: () => 'end the sessions of the old login',
  when: ({ input }) => input.emergency === true,
  run: async (context, { write }) => {
    const { left } = await write.endSessions({ versionId: currentOf(context), target: targetOf(context) });
    if (left > 0) context.warnings.push(sessionsLeft(left, 'the locked login'));
  },
};

/** Two logins of one group role take turns, so that at no moment is there none that works. */
export const alternatingUsersRecipe: Recipe<DatabasePlan> = [
  backUp,
  settleLeftovers,
  confirmCurrentLogin,
  lookAtDependents,
  createCandidate<DatabasePlan>(({ plan }) => ({ kind: 'database', login: 'other', logins: plan.logins })),
  prepareLogin,
  // While nobody has the new password yet: what is open now is from before, such as from a rotation that left the login unlocked.
  endEarlierSessions,
  loginWithCandidate,
  promote,
  deliver,
  verifyAsApplication,
  gracePeriod,
  verifyBeforeRetiring,
  waitForSessionsToEnd,
  lockOldLogin,
  endOldSessions,
  { ...proveOldPasswordRefused, when: lockOldLogin.when },
];
