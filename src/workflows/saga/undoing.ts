import { sleep } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import type { RollbackIncompleteDetails } from '../../rotation/errors';
import type { RotationPlan } from '../../rotation/plan';
import type { StepActivities } from './activities';
import { causeOf, partsOf } from './failures';
import type { FailedPart } from './parts-failed';
import type { Progress } from './progress';
import type { RotationContext, Step } from './step';
import type { StepActivitiesOf } from './step-activities';

/** Pauses between two tries to undo the same step. */
const UNDO_PAUSE_MS = { first: 2_000, longest: 300_000 };

/**
 * What other people did or left undone, and what does not come by itself. Secrets Manager may show a label's old place for a moment, and
 * whoever restarts workloads may be late; after so many tries people have to know, and not when `rollbackTimeout` is over.
 */
const HOPELESS = { causes: new Set<string>([Cause.LabelsMoved, Cause.NotRestarted]), tries: 3 };

/** What undoes a step that was begun. */
export interface Compensation {
  step: string;
  /** As of when it is asked for: the step may have found out by then what there is to undo. */
  summary(): string;
  afterTheOthers: boolean;
  unlessOthersFailed: boolean;
  /** Whether there is nothing to go back to; it has then warned of what stays. */
  isLeft(): boolean;
  run(activities: StepActivities): Promise<void>;
}

export function compensationOf<P extends RotationPlan>(
  step: Step<P>,
  undo: NonNullable<Step<P>['undo']>,
  context: RotationContext<P>,
): Compensation {
  return {
    step: step.name,
    summary: () => undo.summary(context),
    afterTheOthers: undo.afterTheOthers ?? false,
    unlessOthersFailed: undo.unlessOthersFailed ?? false,
    isLeft: () => {
      const left = undo.leaves?.(context);
      context.warnings.push(...(left ?? []));
      return left !== undefined;
    },
    run: (activities) => undo.run(context, activities),
  };
}

/** What undoing needs of the rotation. */
export interface UndoingParts {
  progress: Progress;
  activitiesOf: StepActivitiesOf;
  /** How long each compensation is tried, in milliseconds. */
  limitMs: number;
}

/** Undoes steps in reverse order, those last that come after the others. @returns what was undone, and what was not. */
export async function undoAll(
  compensations: Compensation[],
  parts: UndoingParts,
): Promise<{ undone: string[]; leftToDo: RollbackIncompleteDetails['leftToDo'] }> {
  const undone: string[] = [];
  const leftToDo: RollbackIncompleteDetails['leftToDo'] = [];
  const inReverse = compensations.toReversed();
  for (const compensation of [
    ...inReverse.filter((c) => !c.afterTheOthers),
    ...inReverse.filter((c) => c.afterTheOthers),
  ]) {
    if (compensation.unlessOthersFailed && leftToDo.length > 0) continue;
    if (compensation.isLeft()) continue;
    const summary = compensation.summary();
    const failed = await undo(compensation, summary, parts);
    for (const { todo = summary, cause } of failed) leftToDo.push({ step: compensation.step, todo, cause });
    if (failed.length === 0) undone.push(summary);
  }
  return { undone, leftToDo };
}

/**
 * Undoes one step, and tries again whatever the reason, because people mend what stands in the way, until the time for that is over.
 *
 * @returns what could not be undone and why; nothing when all was.
 */
async function undo(
  compensation: Compensation,
  summary: string,
  { progress, activitiesOf, limitMs }: UndoingParts,
): Promise<readonly FailedPart[]> {
  const step = progress.stepNamed(compensation.step);
  const deadline = Date.now() + limitMs;
  progress.mark(step, 'undoing');
  for (let tries = 1, pause = UNDO_PAUSE_MS.first; ; tries++, pause = Math.min(pause * 2, UNDO_PAUSE_MS.longest)) {
    try {
      const left = Math.max(deadline - Date.now(), UNDO_PAUSE_MS.first);
      await compensation.run(activitiesOf(step, { summary, limitMs: left }));
      step.problem = undefined;
      progress.mark(step, 'undone');
      return [];
    } catch (error) {
      const cause = causeOf(error);
      step.problem = cause.message;
      const hopeless = HOPELESS.causes.has(cause.type) && tries >= HOPELESS.tries;
      if (hopeless || Date.now() + pause > deadline) {
        progress.mark(step, 'undo-failed');
        return partsOf(error);
      }
      progress.mark(step, 'undoing');
      await sleep(pause, { summary: `could not ${summary} (${cause.type}): trying again` });
    }
  }
}
