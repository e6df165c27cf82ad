import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { CauseDetails } from '../../rotation/errors';
import type { RotationPlan } from '../../rotation/plan';
import type { AbortRequest, RotationResult } from '../../rotation/types';
import { causeOf, retirementIncomplete, rollbackIncomplete, rotationRefused, rotationRolledBack } from './failures';
import type { Rotation } from './rotation';
import type { Recipe, RotationContext } from './step';
import type { Compensation } from './undoing';

/** Undoes what was begun, in reverse order, and ends as aborted, refused, rolled back or not quite rolled back. */
export async function undoAndEnd(
  rotation: Rotation,
  error: unknown,
  compensations: Compensation[],
  warnings: readonly string[] = [],
): Promise<RotationResult> {
  const aborted: AbortRequest | undefined =
    rotation.abortRequest ?? (isCancellation(error) || rotation.wasCancelled() ? {} : undefined);
  const cause: CauseDetails = aborted ? { type: 'Aborted', message: aborted.reason ?? 'aborted' } : causeOf(error);
  const failedStep = rotation.progress.status.step;
  return CancellationScope.nonCancellable(async () => {
    const earlier = warnings.length;
    if (compensations.length > 0) rotation.progress.enterPhase('rolling-back');
    const { undone, leftToDo } = await rotation.undo(compensations);
    const { secretId } = rotation.progress;
    const warned = warnings.slice(earlier);
    const about = { step: failedStep, cause, undone, ...(warned.length > 0 && { warnings: warned }) };
    if (leftToDo.length > 0) {
      const failure = rollbackIncomplete(secretId, { ...about, leftToDo });
      await rotation.ending.recordFailure('rollback-incomplete', failedStep, cause, failure.message);
      throw failure;
    }
    if (aborted)
      return rotation.ending.finish('aborted', {
        ...aborted,
        versions: rotation.progress.versionsBefore(),
        warnings: warned,
      });
    if (compensations.length === 0) {
      const failure = rotationRefused(secretId, { step: failedStep, cause }, rotation.progress.cleanedUp());
      await rotation.ending.recordFailure('refused', failedStep, cause, failure.message);
      throw failure;
    }
    const failure = rotationRolledBack(secretId, about);
    await rotation.ending.recordFailure('rolled-back', failedStep, cause, failure.message);
    throw failure;
  });
}

/** Past the point of no return there is no way back: what could not be done is named. */
export async function leaveToRetire<P extends RotationPlan>(
  rotation: Rotation,
  context: RotationContext<P>,
  recipe: Recipe<P>,
  error: unknown,
): Promise<never> {
  const cause = causeOf(error);
  const { step, steps } = rotation.progress.status;
  const promoted = steps.every(({ name, state }) => name !== 'promote' || state === 'done' || state === 'skipped');
  const open = new Set(steps.filter((s) => s.state === 'failed' || s.state === 'pending').map((s) => s.name));
  const leftToDo = recipe
    .filter((s) => open.has(s.name))
    .map((s) => ({ step: s.name, todo: s.summary(context), cause }));
  const failure = retirementIncomplete(rotation.progress.secretId, { step, cause, leftToDo }, promoted);
  await rotation.ending.recordFailure('retirement-incomplete', step, cause, failure.message);
  throw failure;
}
