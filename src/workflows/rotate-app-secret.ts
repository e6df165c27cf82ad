import { Cause } from '../rotation/errors';
import type { AppSecretPlan } from '../rotation/plan';
import type { RotationInput, RotationResult } from '../rotation/types';
import { backUp } from './back-up';
import { deliver, lookAtDependents } from './deliver';
import { createCandidate, promote, settleStaleCandidate } from './secret-steps';
import { refuse } from './saga/failures';
import { expectType } from './saga/recipe-choice';
import { runRotation } from './saga/run-rotation';
import type { Recipe } from './saga/step';

/** Rotates one application secret: a value that only its dependents read, such as a signing or session key. */
export async function rotateAppSecret(input: RotationInput): Promise<RotationResult> {
  return runRotation(input, (plan) => {
    if (input.gracePeriod !== undefined) {
      throw refuse(Cause.BadInput, 'an app-secret has no grace period; leave gracePeriod out.');
    }
    return { plan: expectType(plan, 'app-secret'), recipe: appSecretRecipe, needsCurrentVersion: false };
  });
}

export const appSecretRecipe: Recipe<AppSecretPlan> = [
  backUp,
  settleStaleCandidate,
  lookAtDependents,
  createCandidate<AppSecretPlan>(({ plan }) => (plan.field ? { kind: 'field', field: plan.field } : { kind: 'whole' })),
  promote,
  deliver,
];
