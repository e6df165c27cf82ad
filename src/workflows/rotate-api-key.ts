import { Cause } from '../rotation/errors';
import type { ApiKeyPlan, RotationPlan } from '../rotation/plan';
import type { RotationInput, RotationResult } from '../rotation/types';
import { apiKeyBackRecipe, apiKeyRecipe } from './api-key-recipe';
import { refuse } from './saga/failures';
import { expectType, graceAskedFor } from './saga/recipe-choice';
import type { Chosen } from './saga/recipe-choice';
import { runRotation } from './saga/run-rotation';

/** Rotates an external API key: both keys work through a grace period, and the old one is revoked when nobody uses it. */
export async function rotateApiKey(input: RotationInput): Promise<RotationResult> {
  return runRotation(input, (plan) => apiKeyRotation(plan, input));
}

export function apiKeyRotation(plan: RotationPlan, input: RotationInput, back = false): Chosen<ApiKeyPlan> {
  const apiKey = expectType(plan, 'api-key');
  if (input.versionId !== undefined) {
    throw refuse(
      Cause.BadInput,
      'AWS cannot start the rotation of an API key: both keys work for days before AWSCURRENT moves, and its steps may take 15 minutes. Turn its rotation off with aws secretsmanager cancel-rotate-secret, and let a schedule of Keyturn start it.',
    );
  }
  return {
    plan: { ...apiKey, gracePeriodMs: graceOf(apiKey, input) },
    recipe: back ? apiKeyBackRecipe : apiKeyRecipe,
    needsCurrentVersion: true,
  };
}

/** A leaked key gets none; otherwise what the input says, then the catalog. */
function graceOf({ gracePeriodMs, maxGracePeriodMs }: ApiKeyPlan, { emergency, gracePeriod }: RotationInput): number {
  if (emergency) return 0;
  return graceAskedFor(gracePeriod, maxGracePeriodMs) ?? gracePeriodMs;
}
