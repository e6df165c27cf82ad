import { ApplicationFailure } from '@temporalio/workflow';
import { RotationFailure } from '../rotation/errors';
import type { RefusedDetails } from '../rotation/errors';
import { secretIdOf } from '../rotation/names';
import type { RotationPlan } from '../rotation/plan';
import type { RotationInput, RotationResult } from '../rotation/types';
import { deliver, lookAtDependents } from './deliver';
import { runRotation } from './saga/run-rotation';
import type { Recipe, Step } from './saga/step';

/** There is nothing to go back to: what the dependents are brought is AWSCURRENT already. */
const deliverCurrent: Step<RotationPlan> = { ...deliver, undo: undefined };

const recipe: Recipe<RotationPlan> = [lookAtDependents, deliverCurrent];

/** Brings AWSCURRENT to the dependents once more and sees them healthy; nothing else is changed. */
export async function deliverSecret(input: RotationInput): Promise<RotationResult> {
  try {
    return await runRotation<RotationPlan>(input, (plan) => ({ plan, recipe, needsCurrentVersion: true }), 'deliver');
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.type !== RotationFailure.RotationRefused) throw error;
    const [details] = (error.details ?? []) as RefusedDetails[];
    const secretId = secretIdOf(input.environment, input.secret);
    throw ApplicationFailure.create({
      type: RotationFailure.RotationRefused,
      message: `AWSCURRENT of ${secretId} was not brought to all dependents, and was left as it is: ${details?.cause.message ?? error.message}`,
      nonRetryable: true,
      details: [details],
    });
  }
}
