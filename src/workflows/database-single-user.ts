import type { DatabasePlan } from '../rotation/plan';
import {
  confirmCurrentLogin,
  endEarlierSessions,
  loginWithCandidate,
  proveOldPasswordRefused,
  settleLeftovers,
  targetOf,
  verifyAsApplication,
} from './database-steps';
import type { Recipe, RotationContext, Step } from './saga/step';
import { backUp } from './back-up';
import { deliver, lookAtDependents } from './deliver';
import { createCandidate, currentOf, promote } from './secret-steps';

const how = ({ plan }: RotationContext<DatabasePlan>) =>
  plan.adminSecretId ? `as the administrator in ${plan.adminSecretId}` : 'as the login itself';

const setPassword: Step<DatabasePlan> = {
  name: 'setPassword',
  summary: (context) => `set the login's password to the candidate's, ${how(context)}`,
  run: (context, { write }) =>
    write.setPassword({
      versionId: context.candidate,
      otherVersionIds: [currentOf(context)],
      target: targetOf(context),
    }),
  undo: {
    summary: ({ plan }) => `set the login's password back to the one that ${plan.secretId} had`,
    run: async (context, { write, read }) => {
      const version = { versionId: currentOf(context), target: targetOf(context) };
      await write.setPasswordBack({ ...version, candidateVersionId: context.candidate });
      await read.proveLogin(version);
    },
  },
};

/** One login whose password is changed in place. Between setPassword and promote, AWSCURRENT does not open the database. */
export const singleUserRecipe: Recipe<DatabasePlan> = [
  backUp,
  settleLeftovers,
  confirmCurrentLogin,
  lookAtDependents,
  createCandidate<DatabasePlan>(() => ({ kind: 'database', login: 'same' })),
  setPassword,
  loginWithCandidate,
  promote,
  deliver,
  verifyAsApplication,
  proveOldPasswordRefused,
  // Last: applications have the new password by now, and open their sessions again.
  endEarlierSessions,
];
