import type { CandidateShape } from '../activities/secrets-manager/activities';
import type { RotationPlan } from '../rotation/plan';
import type { StagingLabels } from '../rotation/types';
import type { RotationContext, Step } from './saga/step';

/** The steps in Secrets Manager and towards the dependents, which every recipe has. */

/** The labels as they were found; a candidate of an earlier rotation is not put back. */
export function labelsBefore({ found }: RotationContext): StagingLabels {
  return { current: found.labels.current, previous: found.labels.previous };
}

/** The version that still carries AWSPENDING although its rotation is gone: it was terminated. */
export function staleCandidate({ found, candidate }: RotationContext): string | undefined {
  const { pending, current } = found.labels;
  return pending !== undefined && pending !== current && pending !== candidate ? pending : undefined;
}

/** Discards what a terminated rotation left, where the target system knows nothing of it. */
export const settleStaleCandidate: Step<RotationPlan> = {
  name: 'settleStaleCandidate',
  summary: ({ plan }) => `discard the candidate that a terminated rotation of ${plan.secretId} left`,
  when: (context) => staleCandidate(context) !== undefined,
  run: (context, { write }) =>
    write.placeLabels({ versionId: staleCandidate(context) ?? '', labels: labelsBefore(context) }),
};

/** Makes the candidate durable before any other system hears of it; going back, it is the version labelled AWSPREVIOUS. */
export function createCandidate<P extends RotationPlan>(
  shapeOf: (context: RotationContext<P>) => CandidateShape,
): Step<P> {
  return {
    name: 'createCandidate',
    summary: ({ plan, goingBack, found }) =>
      goingBack
        ? `stage the version labelled AWSPREVIOUS of ${plan.secretId} as the candidate`
        : found.exists
          ? `store a new version of ${plan.secretId}, labelled AWSPENDING`
          : `create ${plan.secretId}, which does not exist yet`,
    run: (context, { write }) => {
      const { plan, candidate, found, goingBack } = context;
      if (goingBack) {
        return write.placeLabels({ versionId: candidate, labels: { ...labelsBefore(context), pending: candidate } });
      }
      return write.createCandidate({
        versionId: candidate,
        currentVersionId: found.labels.current,
        exists: found.exists,
        shape: shapeOf(context),
        password: plan.password,
        description: plan.description,
      });
    },
    undo: {
      summary: ({ plan, found }) =>
        found.exists ? `discard the candidate of ${plan.secretId}` : `delete ${plan.secretId} again`,
      run: (context, { write }) =>
        context.found.exists
          ? write.placeLabels({ versionId: context.candidate, labels: labelsBefore(context) })
          : write.discardCreatedSecret({ versionId: context.candidate }),
    },
  };
}

export const promote: Step<RotationPlan> = {
  name: 'promote',
  summary: ({ plan }) => `move AWSCURRENT of ${plan.secretId} to the candidate`,
  run: ({ candidate, found }, { write }) =>
    write.placeLabels({ versionId: candidate, labels: { current: candidate, previous: found.labels.current } }),
  undo: {
    summary: ({ plan, found }) =>
      found.labels.current
        ? `move AWSCURRENT of ${plan.secretId} back to ${found.labels.current}`
        : `nothing: ${plan.secretId} had no current version`,
    run: async (context, { write }) => {
      if (!context.found.labels.current) return;
      await write.placeLabels({ versionId: context.candidate, labels: labelsBefore(context) });
    },
  },
};

const namesOf = ({ plan }: RotationContext) => plan.dependents.map(({ name }) => name).join(', ') || 'no dependents';

/** Brings AWSCURRENT to the workloads and sees them work with it. */
export const deliver: Step<RotationPlan> = {
  name: 'deliver',
  summary: (context) => `deliver to ${namesOf(context)} and see them healthy`,
  when: ({ plan }) => plan.dependents.length > 0,
  run: ({ plan, candidate }, { wait }) => wait.deliver({ versionId: candidate, dependents: plan.dependents }),
  undo: {
    summary: (context) => `deliver the old version to ${namesOf(context)} again`,
    afterTheOthers: true,
    run: async ({ plan, found }, { wait }) => {
      if (!found.labels.current) return;
      await wait.deliver({ versionId: found.labels.current, dependents: plan.dependents });
    },
  },
};
