import type { CandidateShape } from '../activities/secrets-manager/candidate';
import type { RotationPlan } from '../rotation/plan';
import type { LabelMove } from '../rotation/types';
import type { RotationContext, Step } from './saga/step';

/** The steps in Secrets Manager and towards the dependents, which every recipe has. */

/**
 * The version that still carries AWSPENDING although its rotation is gone: it was terminated. Where Secrets Manager has chosen the
 * VersionId, that is this rotation's own: what the target knows of it is undone, and createCandidate takes it up again.
 */
export function staleCandidate({ found, candidate }: Pick<RotationContext, 'found' | 'candidate'>): string | undefined {
  if (found.candidateStored) return candidate;
  const { pending, current } = found.labels;
  return pending !== undefined && pending !== current && pending !== candidate ? pending : undefined;
}

/** Takes AWSPENDING off what a terminated rotation left. */
export function discardStaleCandidate(context: RotationContext): { versionId: string; moves: LabelMove[] } {
  const stale = staleCandidate(context) ?? '';
  return { versionId: stale, moves: [{ label: 'pending', from: stale }] };
}

/** Discards what a terminated rotation left, where the target system knows nothing of it. */
export const settleStaleCandidate: Step<RotationPlan> = {
  name: 'settleStaleCandidate',
  summary: ({ plan }) => `discard the candidate that a terminated rotation of ${plan.secretId} left`,
  when: (context) => staleCandidate(context) !== undefined,
  run: (context, { write }) => write.moveLabels(discardStaleCandidate(context)),
};

/** A secret of this type always has a current version: one without is refused before the first step. */
export const currentOf = ({ found }: Pick<RotationContext, 'found'>): string => found.labels.current ?? '';

/** Takes AWSPENDING off the candidate, or deletes the secret that was made for it. */
export const discardCandidate: NonNullable<Step<RotationPlan>['undo']> = {
  summary: ({ plan, found }) =>
    found.exists ? `discard the candidate of ${plan.secretId}` : `delete ${plan.secretId} again`,
  // Last, and only when nothing is left of the rest: the next rotation needs the candidate to find its way in.
  afterTheOthers: true,
  unlessOthersFailed: true,
  run: ({ candidate, found }, { write }) =>
    found.exists
      ? write.moveLabels({ versionId: candidate, moves: [{ label: 'pending', from: candidate }] })
      : write.discardCreatedSecret({ versionId: candidate }),
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
      if (goingBack) return write.moveLabels({ versionId: candidate, moves: [{ label: 'pending', to: candidate }] });
      return write.createCandidate({
        versionId: candidate,
        currentVersionId: found.labels.current,
        exists: found.exists,
        shape: shapeOf(context),
        password: plan.password,
        description: plan.description,
      });
    },
    undo: discardCandidate,
  };
}

export const promote: Step<RotationPlan> = {
  name: 'promote',
  summary: ({ plan }) => `move AWSCURRENT of ${plan.secretId} to the candidate`,
  // A secret that this rotation created has its first version as AWSCURRENT from the start.
  when: ({ found }) => found.exists,
  run: ({ candidate, found }, { write }) =>
    write.moveLabels({
      versionId: candidate,
      moves: [
        { label: 'current', from: found.labels.current, to: candidate },
        { label: 'pending', from: candidate },
      ],
    }),
  undo: {
    summary: ({ plan, found }) =>
      found.labels.current
        ? `move AWSCURRENT of ${plan.secretId} back to ${found.labels.current}`
        : `leave AWSCURRENT of ${plan.secretId}, which had none before, on the candidate`,
    run: async ({ candidate, found }, { write }) => {
      const { current, previous } = found.labels;
      if (!current) return;
      await write.moveLabels({
        versionId: candidate,
        moves: [
          { label: 'current', from: candidate, to: current },
          // Secrets Manager has taken AWSPREVIOUS along to the version that AWSCURRENT came from.
          { label: 'previous', from: candidate, to: previous },
          { label: 'pending', to: candidate },
        ],
      });
    },
  },
};
