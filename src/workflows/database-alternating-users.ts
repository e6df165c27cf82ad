import { ActivityFailure, isCancellation } from '@temporalio/workflow';
import { formatDuration } from '../rotation/durations';
import { Cause } from '../rotation/errors';
import type { DatabasePlan } from '../rotation/plan';
import {
  confirmCurrentLogin,
  currentOf,
  loginWithCandidate,
  settleLeftovers,
  targetOf,
  verifyAsApplication,
} from './database-steps';
import { causeOf } from './saga/failures';
import type { Recipe, RotationContext, Step } from './saga/step';
import { createCandidate, deliver, promote } from './secret-steps';

const groupOf = ({ plan }: RotationContext<DatabasePlan>) => plan.groupRole ?? '';

const prepareLogin: Step<DatabasePlan> = {
  name: 'prepareLogin',
  summary: (context) =>
    `unlock the login that is not in use and set its password, or create it as a member of "${groupOf(context)}"`,
  run: (context, { write }) =>
    write.prepareLogin({
      versionId: context.candidate,
      modelVersionId: currentOf(context),
      groupRole: groupOf(context),
      target: targetOf(context),
    }),
  undo: {
    summary: ({ found }) =>
      found.labels.previous
        ? 'give the login that is not in use its earlier password again'
        : 'lock the login that is not in use',
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
  when: ({ plan }) => plan.gracePeriodMs !== undefined,
  run: ({ plan }, { waitOutGracePeriod }) => waitOutGracePeriod(plan.gracePeriodMs ?? 0),
};

const waitForSessionsToEnd: Step<DatabasePlan> = {
  name: 'waitForSessionsToEnd',
  summary: () => 'wait until the old login has no open session',
  phase: 'retiring',
  when: ({ plan }) => plan.gracePeriodMs !== undefined,
  run: async (context, { wait }) => {
    try {
      await wait.waitForSessionsToEnd({ versionId: currentOf(context), target: targetOf(context) });
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      const cause = causeOf(error);
      if (cause.type !== Cause.SessionsStillOpen) throw error;
      // An application that holds on to a session works; taking its login away could only harm it.
      context.warnings.push(
        `The old login was not locked: ${cause.message} Its password changes with the next rotation.`,
      );
    }
  },
};

const lockOldLogin: Step<DatabasePlan> = {
  name: 'lockOldLogin',
  summary: () => 'lock the old login',
  when: ({ plan, warnings }) => plan.gracePeriodMs !== undefined && warnings.length === 0,
  pointOfNoReturn: true,
  run: (context, { write }) => write.lockLogin({ versionId: currentOf(context), target: targetOf(context) }),
};

const proveOldLoginRefused: Step<DatabasePlan> = {
  name: 'proveOldLoginRefused',
  summary: () => 'prove that the old login is refused',
  when: lockOldLogin.when,
  run: (context, { read }) =>
    read.proveOldPasswordRefused({ versionId: currentOf(context), target: targetOf(context) }),
};

/** Two logins of one group role take turns, so that at no moment is there none that works. */
export const alternatingUsersRecipe: Recipe<DatabasePlan> = [
  settleLeftovers,
  confirmCurrentLogin,
  createCandidate<DatabasePlan>(({ plan }) => ({ kind: 'database', login: 'other', logins: plan.logins })),
  prepareLogin,
  loginWithCandidate,
  promote,
  deliver,
  verifyAsApplication,
  gracePeriod,
  waitForSessionsToEnd,
  lockOldLogin,
  proveOldLoginRefused,
];
