import { CancellationScope, isCancellation, workflowInfo } from '@temporalio/workflow';
import { formatDuration, parseDuration } from '../../rotation/durations';
import { Cause } from '../../rotation/errors';
import type { CauseDetails, RollbackIncompleteDetails } from '../../rotation/errors';
import { ROTATION_WORKFLOWS, secretIdOf } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type { AbortRequest, Outcome, RotationInput, RotationResult, SecretInspection } from '../../rotation/types';
import { admit } from './admission';
import type { StepActivities } from './activities';
import {
  causeOf,
  refuse,
  retirementIncomplete,
  rollbackIncomplete,
  rotationRefused,
  rotationRolledBack,
} from './failures';
import { staleCandidate } from '../secret-steps';
import { Rotation } from './rotation';
import type { KeysOfRotation, Recipe, RotationContext, Step } from './step';

/** Chooses the recipe once the plan is known. @throws ApplicationFailure when the plan is not for this workflow. */
export type ChooseRecipe<P extends RotationPlan> = (plan: RotationPlan, input: RotationInput) => Chosen<P>;

/**
 * What a run is for, which decides what its candidate is: a new version, the one labelled AWSPREVIOUS, a new one with what a backup
 * holds, or the one that is current already.
 */
export type Purpose = 'rotate' | 'go-back' | 'restore' | 'deliver';

const OUTCOME = { rotate: 'rotated', 'go-back': 'rotated', restore: 'restored', deliver: 'delivered' } as const;

export interface Chosen<P extends RotationPlan> {
  plan: P;
  recipe: Recipe<P>;
  /** The secret cannot be made from nothing. */
  needsCurrentVersion: boolean;
}

/**
 * One rotation from its start to its end: plan, look, then the recipe's steps in order. A compensation is registered before its step
 * runs; when a step fails, or an operator aborts, they run in reverse order.
 */
export async function runRotation<P extends RotationPlan>(
  input: RotationInput,
  choose: ChooseRecipe<P>,
  purpose: Purpose = 'rotate',
): Promise<RotationResult> {
  admit(input);
  const rotation = new Rotation(input);
  let context: RotationContext<P>;
  let recipe: Recipe<P>;
  try {
    ({ context, recipe } = await prepare(rotation, input, choose, purpose));
  } catch (error) {
    return end(rotation, error, []);
  }
  if (purpose !== 'deliver' && context.candidate === context.found.labels.current) {
    // A reset of a rotation that was done: its version is in use, and doing it again would lose the one before.
    return rotation.finish('unchanged', { versions: { current: context.candidate } });
  }
  return input.dryRun ? rehearse(rotation, context, recipe) : carryOut(rotation, context, recipe, OUTCOME[purpose]);
}

/** Until the provider has been asked, everything lies ahead. */
const noKeysYet = (): KeysOfRotation => ({
  leftovers: false,
  announcements: 0,
  lastAnnouncement: 0,
  can: { tellUse: true, deactivate: true, delete: true },
});

/** Loads the plan and looks at the secret; nothing has been changed when this fails. */
async function prepare<P extends RotationPlan>(
  rotation: Rotation,
  input: RotationInput,
  choose: ChooseRecipe<P>,
  purpose: Purpose,
): Promise<{ context: RotationContext<P>; recipe: Recipe<P> }> {
  return rotation.interruptible(async () => {
    const { environment, secret } = input;
    const loaded = await rotation.look(
      'loadPlan',
      `read the plan of ${rotation.secretId} from the catalog`,
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
      keys: noKeysYet(),
    };
    rotation.announce(context, recipe);
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
        rotation.foresee(context, recipe.slice(n + 1));
      }
    });
  } catch (error) {
    return end(rotation, error, []);
  }
  return rotation.finish('dry-run', {
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
  const compensations: Compensation[] = [];
  const { current } = context.found.labels;
  if (outcome === 'rotated') await rotation.news.started();
  try {
    await rotation.interruptible(async () => {
      rotation.enterPhase('rotating');
      for (const [n, step] of recipe.entries()) {
        if (step.when && !step.when(context)) {
          rotation.skip(step.name);
          continue;
        }
        if (step.pointOfNoReturn?.(context)) rotation.passPointOfNoReturn();
        if (step.phase) rotation.enterPhase(step.phase);
        if (step.undo && (step.undo.when?.(context) ?? true))
          compensations.push(compensationOf(step, step.undo, context));
        await rotation.perform(step, context);
        rotation.foresee(context, recipe.slice(n + 1));
      }
      // From here an abort would find nothing left to stop.
      rotation.passPointOfNoReturn();
    });
  } catch (error) {
    if (rotation.status.pastPointOfNoReturn) return leaveToRetire(rotation, context, recipe, error);
    return end(rotation, error, compensations);
  }
  return rotation.finish(outcome, {
    versions: { previous: current, current: context.candidate },
    warnings: context.warnings,
  });
}

interface Compensation {
  step: string;
  /** As of when it is asked for: the step may have found out by then what there is to undo. */
  summary(): string;
  afterTheOthers: boolean;
  unlessOthersFailed: boolean;
  run(activities: StepActivities): Promise<void>;
}

function compensationOf<P extends RotationPlan>(
  step: Step<P>,
  undo: NonNullable<Step<P>['undo']>,
  context: RotationContext<P>,
): Compensation {
  return {
    step: step.name,
    summary: () => undo.summary(context),
    afterTheOthers: undo.afterTheOthers ?? false,
    unlessOthersFailed: undo.unlessOthersFailed ?? false,
    run: (activities) => undo.run(context, activities),
  };
}

/** Undoes what was begun, in reverse order, and ends as aborted, refused, rolled back or not quite rolled back. */
async function end(rotation: Rotation, error: unknown, compensations: Compensation[]): Promise<RotationResult> {
  const aborted: AbortRequest | undefined =
    rotation.abortRequest ?? (isCancellation(error) || rotation.wasCancelled() ? {} : undefined);
  const cause: CauseDetails = aborted ? { type: 'Aborted', message: aborted.reason ?? 'aborted' } : causeOf(error);
  const failedStep = rotation.status.step;
  return CancellationScope.nonCancellable(async () => {
    const undone: string[] = [];
    const leftToDo: RollbackIncompleteDetails['leftToDo'] = [];
    if (compensations.length > 0) rotation.enterPhase('rolling-back');
    const inReverse = compensations.toReversed();
    for (const compensation of [
      ...inReverse.filter((c) => !c.afterTheOthers),
      ...inReverse.filter((c) => c.afterTheOthers),
    ]) {
      const { step, unlessOthersFailed } = compensation;
      if (unlessOthersFailed && leftToDo.length > 0) continue;
      const summary = compensation.summary();
      const failed = await rotation.compensate(step, summary, (activities) => compensation.run(activities));
      if (failed) leftToDo.push({ step, todo: summary, cause: failed });
      else undone.push(summary);
    }
    const { secretId } = rotation;
    if (leftToDo.length > 0) {
      const failure = rollbackIncomplete(secretId, { step: failedStep, cause, undone, leftToDo });
      await rotation.recordFailure('rollback-incomplete', failedStep, cause, failure.message);
      throw failure;
    }
    if (aborted) return rotation.finish('aborted', { ...aborted, versions: rotation.versionsBefore() });
    if (compensations.length === 0) {
      const failure = rotationRefused(secretId, { step: failedStep, cause }, rotation.cleanedUp());
      await rotation.recordFailure('refused', failedStep, cause, failure.message);
      throw failure;
    }
    const failure = rotationRolledBack(secretId, { step: failedStep, cause, undone });
    await rotation.recordFailure('rolled-back', failedStep, cause, failure.message);
    throw failure;
  });
}

/** Past the point of no return there is no way back: what could not be done is named. */
async function leaveToRetire<P extends RotationPlan>(
  rotation: Rotation,
  context: RotationContext<P>,
  recipe: Recipe<P>,
  error: unknown,
): Promise<never> {
  const cause = causeOf(error);
  const { step, steps } = rotation.status;
  const promoted = steps.every(({ name, state }) => name !== 'promote' || state === 'done' || state === 'skipped');
  const open = new Set(steps.filter((s) => s.state === 'failed' || s.state === 'pending').map((s) => s.name));
  const leftToDo = recipe
    .filter((s) => open.has(s.name))
    .map((s) => ({ step: s.name, todo: s.summary(context), cause }));
  const failure = retirementIncomplete(rotation.secretId, { step, cause, leftToDo }, promoted);
  await rotation.recordFailure('retirement-incomplete', step, cause, failure.message);
  throw failure;
}

/** The plan of a type that this workflow rotates, or a refusal that names the workflow that does. */
export function expectType<T extends RotationPlan['type']>(
  plan: RotationPlan,
  type: T,
): Extract<RotationPlan, { type: T }> {
  if (plan.type === type) return plan as Extract<RotationPlan, { type: T }>;
  const secretId = secretIdOf(plan.environment, plan.secret);
  throw refuse(
    Cause.WrongSecretType,
    `the catalog says that ${secretId} is of type ${plan.type}; start ${ROTATION_WORKFLOWS[plan.type]} for it, or rotate, which finds out by itself.`,
  );
}

/** The grace period that the input asks for, in milliseconds. @throws BadInput when it is longer than may be. */
export function graceAskedFor(gracePeriod: string | undefined, longestMs: number): number | undefined {
  const asked = gracePeriod === undefined ? undefined : parseDuration(gracePeriod);
  if (asked === undefined || asked <= longestMs) return asked;
  throw refuse(
    Cause.BadInput,
    `the input's gracePeriod is longer than ${formatDuration(longestMs)}; nothing was started.`,
  );
}
