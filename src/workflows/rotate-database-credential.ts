import { MAX_GRACE_PERIOD_MS } from '../rotation/durations';
import { Cause } from '../rotation/errors';
import type { DatabasePlan, RotationPlan } from '../rotation/plan';
import type { RotationInput, RotationResult } from '../rotation/types';
import { alternatingUsersRecipe } from './database-alternating-users';
import { singleUserRecipe } from './database-single-user';
import { endEarlierSessions } from './database-steps';
import { refuse } from './saga/failures';
import { expectType, graceAskedFor } from './saga/recipe-choice';
import type { Chosen } from './saga/recipe-choice';
import { runRotation } from './saga/run-rotation';
import type { Recipe } from './saga/step';
import { isInForce } from './changes';

/** Rotates the login of a PostgreSQL database by the strategy that the catalog names. */
export async function rotateDatabaseCredential(input: RotationInput): Promise<RotationResult> {
  return runRotation(input, databaseRecipe);
}

/** The recipe of a database's strategy. */
export function databaseRecipe(plan: RotationPlan, input: RotationInput): Chosen<DatabasePlan> {
  const database = expectType(plan, 'database');
  switch (database.strategy) {
    case 'single-user':
      if (input.gracePeriod !== undefined) {
        throw refuse(
          Cause.BadInput,
          'a single-user credential has no grace period, because its one password is changed in place; leave gracePeriod out.',
        );
      }
      return { plan: database, recipe: inEmergency(singleUserRecipe, input), needsCurrentVersion: true };
    case 'alternating-users':
      return {
        plan: { ...database, gracePeriodMs: graceOf(database, input) },
        recipe: inEmergency(alternatingUsersRecipe, input),
        needsCurrentVersion: true,
      };
  }
}

/** A leaked login is locked as soon as the other one is in use; otherwise what the input says, then the catalog. */
function graceOf({ gracePeriodMs }: DatabasePlan, { emergency, gracePeriod }: RotationInput): number | undefined {
  if (emergency) return 0;
  return graceAskedFor(gracePeriod, MAX_GRACE_PERIOD_MS) ?? gracePeriodMs;
}

/** Emergencies that began before earlier sessions were ended go on without. */
function inEmergency(recipe: Recipe<DatabasePlan>, { emergency }: RotationInput): Recipe<DatabasePlan> {
  if (!emergency || isInForce('an-emergency-ends-earlier-sessions')) return recipe;
  return recipe.filter((step) => step !== endEarlierSessions);
}
