import { workflowInfo } from '@temporalio/workflow';
import { restoreWorkflowId } from '../rotation/backup';
import type { BackupReference, RestoreSecretInput } from '../rotation/backup';
import { Cause } from '../rotation/errors';
import type { RotationPlan } from '../rotation/plan';
import type { RotationResult } from '../rotation/types';
import { apiKeyFromBackup, appSecretFromBackup, databaseFromBackup } from './restore-recipes';
import { isInForce } from './changes';
import { refuse } from './saga/failures';
import { runRotation } from './saga/run-rotation';
import type { Recipe } from './saga/step';

/**
 * Sets one secret back to what a backup holds, and what it opens too, under the rotation's own workflow ID, so that it never meets
 * one. It delivers nothing: a workload may need several secrets to become healthy, and {@link restoreSecrets} delivers when all are back.
 */
export async function restoreSecret({ backup, ...input }: RestoreSecretInput): Promise<RotationResult> {
  return runRotation<RotationPlan>(
    input,
    (plan) => ({ plan, recipe: recipeFor(plan, checked(backup, input.environment)), needsCurrentVersion: false }),
    'restore',
  );
}

function recipeFor(plan: RotationPlan, backup: BackupReference): Recipe<RotationPlan> {
  switch (plan.type) {
    case 'app-secret':
      return appSecretFromBackup(backup) as Recipe<RotationPlan>;
    case 'database':
      return databaseFromBackup(backup) as Recipe<RotationPlan>;
    case 'api-key':
      return apiKeyFromBackup(backup) as Recipe<RotationPlan>;
  }
}

/** @throws BadInput for what nobody but a person can have started: {@link restoreSecrets} has found the backup where the catalog says. */
function checked(backup: BackupReference, environment: string): BackupReference {
  const texts = [backup?.bucket, backup?.key, backup?.time, backup?.keyArn];
  const isOfThis = texts.every((text) => typeof text === 'string') && backup.environment === environment;
  if (isOfThis && isStartedByRestore(environment)) return backup;
  throw refuse(
    Cause.BadInput,
    `the input's backup is not one of ${environment}; start restoreSecrets, which finds it: keyturn restore ${environment} --from latest`,
  );
}

function isStartedByRestore(environment: string): boolean {
  return (
    workflowInfo().parent?.workflowId === restoreWorkflowId(environment) ||
    !isInForce('a-restore-is-started-by-restores-alone')
  );
}
