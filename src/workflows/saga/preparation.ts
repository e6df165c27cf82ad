import { workflowInfo } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import type { RotationPlan } from '../../rotation/plan';
import type { RotationInput, SecretInspection } from '../../rotation/types';
import { staleCandidate } from '../secret-steps';
import { refuse } from './failures';
import type { ChooseRecipe } from './recipe-choice';
import type { Rotation } from './rotation';
import type { KeysOfRotation, Recipe, RotationContext } from './step';

/**
 * What a run is for, which decides what its candidate is: a new version, the one labelled AWSPREVIOUS, a new one with what a backup
 * holds, or the one that is current already.
 */
export type Purpose = 'rotate' | 'go-back' | 'restore' | 'deliver';

/** Until the provider has been asked, everything lies ahead. */
const noKeysYet = (): KeysOfRotation => ({
  leftovers: false,
  announcements: 0,
  lastAnnouncement: 0,
  can: { tellUse: true, deactivate: true, delete: true },
});

/** Loads the plan and looks at the secret; nothing has been changed when this fails. */
export async function prepare<P extends RotationPlan>(
  rotation: Rotation,
  input: RotationInput,
  choose: ChooseRecipe<P>,
  purpose: Purpose,
): Promise<{ context: RotationContext<P>; recipe: Recipe<P> }> {
  return rotation.interruptible(async () => {
    const { environment, secret } = input;
    const loaded = await rotation.look(
      'loadPlan',
      `read the plan of ${rotation.progress.secretId} from the catalog`,
      ({ read }) =>
        purpose === 'restore' ? read.loadRestorePlan({ environment, secret }) : read.loadPlan({ environment, secret }),
    );
    const { plan, recipe, needsCurrentVersion } = choose(loaded, input);
    if (input.versionId !== undefined && purpose !== 'rotate') {
      throw refuse(Cause.BadInput, 'only a rotation takes a versionId; leave it out.');
    }
    rotation.follow(plan);
    const found = await rotation.look('inspectSecret', `look at the labels of ${plan.secretId}`, ({ read }) =>
      read.inspectSecret(purpose === 'restore' ? { deletedToo: true } : { versionId: input.versionId }),
    );
    if (needsCurrentVersion && !found.labels.current) {
      const what = found.exists ? 'has no version labelled AWSCURRENT' : 'does not exist in Secrets Manager';
      throw refuse(Cause.SecretUnusable, `${plan.secretId} ${what}; store a credential there that works.`);
    }
    const goingBack = purpose === 'go-back';
    const candidate = candidateFor(purpose, input, found);
    if (!candidate) {
      throw refuse(Cause.NothingToRollBackTo, `${plan.secretId} has no AWSPREVIOUS version to go back to.`);
    }
    if (goingBack && staleCandidate({ found, candidate })) {
      throw refuse(
        Cause.SecretUnusable,
        `a rotation of ${plan.secretId} was terminated and has left a candidate; keyturn rotate ${plan.secretId} cleans up, and can be rolled back afterwards.`,
      );
    }
    const context: RotationContext<P> = {
      plan,
      input,
      found,
      candidate,
      goingBack,
      warnings: [],
      oldLoginInUse: false,
      kubernetes: { resourceVersions: {}, revisions: {}, changedAt: {} },
      ecs: { since: {}, done: [] },
      keys: noKeysYet(),
    };
    rotation.progress.announce(context, recipe);
    return { context, recipe };
  });
}

function candidateFor(
  purpose: Purpose,
  { versionId }: RotationInput,
  { labels }: SecretInspection,
): string | undefined {
  switch (purpose) {
    case 'rotate':
      return versionId ?? workflowInfo().firstExecutionRunId;
    case 'restore':
      return workflowInfo().firstExecutionRunId;
    case 'go-back':
      return labels.previous;
    case 'deliver':
      return labels.current;
  }
}
