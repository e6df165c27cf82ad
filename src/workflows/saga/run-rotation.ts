import type { RotationPlan } from '../../rotation/plan';
import type { Outcome, RotationInput, RotationResult } from '../../rotation/types';
import { noteChanges } from '../changes';
import { admit } from './admission';
import { leaveToRetire, undoAndEnd } from './after-failure';
import { prepare } from './preparation';
import type { Purpose } from './preparation';
import type { ChooseRecipe } from './recipe-choice';
import { Rotation } from './rotation';
import type { Recipe, RotationContext } from './step';
import { compensationOf } from './undoing';
import type { Compensation } from './undoing';

const OUTCOME = { rotate: 'rotated', 'go-back': 'rotated', restore: 'restored', deliver: 'delivered' } as const;

/**
 * One rotation from its start to its end: plan, look, then the recipe's steps in order. A compensation is registered before its step
 * runs; when a step fails, or an operator aborts, they run in reverse order.
 */
export async function runRotation<P extends RotationPlan>(
  input: RotationInput,
  choose: ChooseRecipe<P>,
  purpose: Purpose = 'rotate',
): Promise<RotationResult> {
  noteChanges();
  admit(input);
  const rotation = new Rotation(input);
  let context: RotationContext<P>;
  let recipe: Recipe<P>;
  try {
    ({ context, recipe } = await prepare(rotation, input, choose, purpose));
  } catch (error) {
    return undoAndEnd(rotation, error, []);
  }
  if (purpose !== 'deliver' && context.candidate === context.found.labels.current) {
    // A reset of a rotation that was done: its version is in use, and doing it again would lose the one before.
    return rotation.ending.finish('unchanged', { versions: { current: context.candidate } });
  }
  return input.dryRun ? rehearse(rotation, context, recipe) : carryOut(rotation, context, recipe, OUTCOME[purpose]);
}

/** A dry run: does what only looks, and says what the rest would do. */
async function rehearse<P extends RotationPlan>(
  rotation: Rotation,
  context: RotationContext<P>,
  recipe: Recipe<P>,
): Promise<RotationResult> {
  try {
    await rotation.interruptible(async () => {
      for (const [n, step] of recipe.entries()) {
        if (!step.onlyLooks || step.when?.(context) === false) continue;
        await rotation.perform(step, context);
        rotation.progress.foresee(context, recipe.slice(n + 1));
      }
    });
  } catch (error) {
    return undoAndEnd(rotation, error, []);
  }
  return rotation.ending.finish('dry-run', {
    versions: { current: context.found.labels.current },
    warnings: context.warnings,
  });
}

async function carryOut<P extends RotationPlan>(
  rotation: Rotation,
  context: RotationContext<P>,
  recipe: Recipe<P>,
  outcome: Outcome,
): Promise<RotationResult> {
  const { progress } = rotation;
  const compensations: Compensation[] = [];
  const { current } = context.found.labels;
  if (outcome === 'rotated') await rotation.news.started();
  try {
    await rotation.interruptible(async () => {
      progress.enterPhase('rotating');
      for (const [n, step] of recipe.entries()) {
        if (step.when && !step.when(context)) {
          progress.mark(progress.stepNamed(step.name), 'skipped');
          continue;
        }
        if (step.pointOfNoReturn?.(context)) rotation.passPointOfNoReturn();
        if (step.phase) progress.enterPhase(step.phase);
        if (step.undo && (step.undo.when?.(context) ?? true))
          compensations.push(compensationOf(step, step.undo, context));
        await rotation.perform(step, context);
        progress.foresee(context, recipe.slice(n + 1));
      }
      // From here an abort would find nothing left to stop.
      rotation.passPointOfNoReturn();
    });
  } catch (error) {
    if (progress.status.pastPointOfNoReturn) return leaveToRetire(rotation, context, recipe, error);
    return undoAndEnd(rotation, error, compensations, context.warnings);
  }
  return rotation.ending.finish(outcome, {
    versions: { previous: current, current: context.candidate },
    warnings: context.warnings,
  });
}
