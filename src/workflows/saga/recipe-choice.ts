import { formatDuration, parseDuration } from '../../rotation/durations';
import { Cause } from '../../rotation/errors';
import { ROTATION_WORKFLOWS, secretIdOf } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type { RotationInput } from '../../rotation/types';
import { refuse } from './failures';
import type { Recipe } from './step';

/** Chooses the recipe once the plan is known. @throws ApplicationFailure when the plan is not for this workflow. */
export type ChooseRecipe<P extends RotationPlan> = (plan: RotationPlan, input: RotationInput) => Chosen<P>;

export interface Chosen<P extends RotationPlan> {
  plan: P;
  recipe: Recipe<P>;
  /** The secret cannot be made from nothing. */
  needsCurrentVersion: boolean;
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
