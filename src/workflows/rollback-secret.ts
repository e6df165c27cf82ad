import type { RotationPlan } from '../rotation/plan';
import type { RotationInput, RotationResult } from '../rotation/types';
import { apiKeyRotation } from './rotate-api-key';
import { databaseRecipe } from './rotate-database-credential';
import { appSecretRecipe } from './rotate-app-secret';
import type { Chosen } from './saga/recipe-choice';
import { runRotation } from './saga/run-rotation';
import type { Recipe } from './saga/step';

/**
 * Goes back to AWSPREVIOUS after a rotation that ended: the recipe of the secret's type, with the old version as its candidate, so
 * that the target system and the dependents are set back too, and a rollback that fails is itself undone.
 */
export async function rollbackSecret(input: RotationInput): Promise<RotationResult> {
  return runRotation<RotationPlan>(input, recipeFor, 'go-back');
}

function recipeFor(plan: RotationPlan, input: RotationInput): Chosen<RotationPlan> {
  switch (plan.type) {
    case 'app-secret':
      return { plan, recipe: appSecretRecipe as Recipe<RotationPlan>, needsCurrentVersion: true };
    case 'database': {
      const chosen = databaseRecipe(plan, input);
      return { ...chosen, recipe: chosen.recipe as Recipe<RotationPlan> };
    }
    case 'api-key': {
      const chosen = apiKeyRotation(plan, input, true);
      return { ...chosen, recipe: chosen.recipe as Recipe<RotationPlan> };
    }
  }
}
