import { isCancellation } from '@temporalio/workflow';
import type { DatabaseTarget } from '../activities/postgres/credentials';
import type { DatabasePlan } from '../rotation/plan';
import { currentOf, discardStaleCandidate, staleCandidate } from './secret-steps';
import { causeOf } from './saga/failures';
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

const BY_HAND = 'End them by hand: SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = …';

/** The warning of sessions that the administrator may not end. */
export function sessionsLeft(left: number, whose: string): string {
  return `${left} session${left === 1 ? '' : 's'} of ${whose} could not be ended: the administrator may not (it needs pg_signal_backend). ${BY_HAND}`;
}

/**
 * A session outlives the password with which it was opened, and what leaked may be that. That it cannot be ended is no reason to give
 * the leaked password back.
 */
export const endEarlierSessions: Step<DatabasePlan> = {
  name: 'endEarlierSessions',
  summary: () => 'end the sessions that the login of the candidate has from before',
  when: ({ input }) => input.emergency === true,
  run: async (context, { write }) => {
    try {
      const { left } = await write.endSessions({ versionId: context.candidate, target: targetOf(context) });
      if (left > 0) context.warnings.push(sessionsLeft(left, 'the login that is now in use'));
    } catch (error) {
      if (isCancellation(error)) throw error;
      context.warnings.push(
        `The sessions that the login now in use has from before could not be ended: ${causeOf(error).message} ${BY_HAND}`,
      );
    }
  },
};
