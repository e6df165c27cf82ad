import type { DatabaseTarget } from '../activities/postgres/credentials';
import type { DatabasePlan } from '../rotation/plan';
import { currentOf, discardStaleCandidate, staleCandidate } from './secret-steps';
import type { RotationContext, Step } from './saga/step';

/** The steps that both strategies for a database have. */

export const targetOf = ({ plan }: RotationContext<DatabasePlan>): DatabaseTarget => ({
  sslMode: plan.sslMode,
  sslRootCert: plan.sslRootCert,
  adminSecretId: plan.adminSecretId,
});

export const settleLeftovers: Step<DatabasePlan> = {
  name: 'settleLeftovers',
  summary: ({ plan }) =>
    `discard the candidate that a terminated rotation of ${plan.secretId} left, and undo its password`,
  when: (context) => staleCandidate(context) !== undefined,
  run: async (context, { write }) => {
    const stale = discardStaleCandidate(context);
    await write.settleLeftovers({
      versionId: currentOf(context),
      staleVersionId: stale.versionId,
      target: targetOf(context),
    });
    await write.moveLabels(stale);
  },
};

export const confirmCurrentLogin: Step<DatabasePlan> = {
  name: 'confirmCurrentLogin',
  summary: ({ plan }) => `confirm that AWSCURRENT of ${plan.secretId} opens its database`,
  onlyLooks: true,
  run: (context, { read }) =>
    read.confirmCurrentLogin({
      versionId: currentOf(context),
      previousVersionId: context.found.labels.previous,
      target: targetOf(context),
    }),
};

export const loginWithCandidate: Step<DatabasePlan> = {
  name: 'loginWithCandidate',
  summary: () => 'log in with the candidate',
  run: (context, { read }) => read.proveLogin({ versionId: context.candidate, target: targetOf(context) }),
};

export const verifyAsApplication: Step<DatabasePlan> = {
  name: 'verifyAsApplication',
  summary: ({ plan }) => `log in as an application does, with AWSCURRENT of ${plan.secretId}`,
  run: (context, { read }) => read.verifyAsApplication({ versionId: context.candidate, target: targetOf(context) }),
};

export const proveOldPasswordRefused: Step<DatabasePlan> = {
  name: 'proveOldPasswordRefused',
  summary: () => 'prove that the old credential is refused',
  run: (context, { read }) =>
    read.proveOldPasswordRefused({ versionId: currentOf(context), target: targetOf(context) }),
};
