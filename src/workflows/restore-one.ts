import {
  ApplicationFailure,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type {
  BackupReference,
  RestoredSecret,
  RestoreInput,
  RestoreSecretInput,
  SecretDifference,
} from '../rotation/backup';
import { RotationFailure } from '../rotation/errors';
import { shortened } from '../rotation/fleet';
import { rotationWorkflowId, secretIdOf } from '../rotation/names';
import type { RotationInput, RotationResult } from '../rotation/types';
import { causeOf } from './saga/failures';

/** Restores one secret, or says what that would do; it is delivered later, where it has dependents. */
export async function restoreOne(
  input: RestoreInput,
  backup: BackupReference,
  { secret, difference, why, delivered }: SecretDifference,
): Promise<RestoredSecret> {
  const { environment, reason, requestedBy, dryRun } = input;
  const child: RestoreSecretInput = { environment, secret, backup, dryRun, reason, requestedBy };
  const isGone = difference === 'missing' || difference === 'scheduled-for-deletion';
  const ended = await run('restoreSecret', child, `Restore ${secretIdOf(environment, secret)}`, isGone);
  if ('message' in ended) return { secret, difference, ...ended };
  const { outcome, versions, warnings } = ended.result;
  const about = { secret, difference, versionId: versions.current, message: warnings && shortened(warnings.join(' ')) };
  if (outcome === 'dry-run') return { ...about, outcome: 'would-be-restored', message: about.message ?? why };
  if (outcome === 'aborted') return { ...about, outcome: 'failed', message: 'it was aborted, and is as it was' };
  return { ...about, outcome: delivered ? 'to-be-delivered' : 'restored' };
}

/** Brings what was restored to the dependents. */
export async function deliverOne(
  { environment, reason, requestedBy }: RestoreInput,
  restored: RestoredSecret,
): Promise<RestoredSecret> {
  const { secret } = restored;
  const child: RotationInput = { environment, secret, reason, requestedBy };
  const ended = await run('deliverSecret', child, `Deliver ${secretIdOf(environment, secret)}`);
  if ('message' in ended) return { ...restored, outcome: 'not-delivered', message: ended.message };
  if (ended.result.outcome === 'aborted') {
    return { ...restored, outcome: 'not-delivered', message: 'its delivery was aborted; restore again to deliver it' };
  }
  return { ...restored, outcome: restored.difference === 'same' ? 'same' : 'restored' };
}

type Ended = { result: RotationResult } | { outcome: 'refused' | 'failed'; message: string };

/** A workflow for one secret, under the ID that keeps others away from it. */
async function run(
  type: string,
  input: RotationInput | RestoreSecretInput,
  staticSummary: string,
  isGone = false,
): Promise<Ended> {
  try {
    const child = await startChild<(input: RotationInput) => Promise<RotationResult>>(type, {
      workflowId: rotationWorkflowId(input.environment, input.secret),
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary,
    });
    return { result: await child.result() };
  } catch (error) {
    if (isCancellation(error)) throw error;
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return { outcome: 'refused', message: inTheWay(input, isGone) };
    }
    const cause = error instanceof ChildWorkflowFailure ? error.cause : undefined;
    const refused = cause instanceof ApplicationFailure && cause.type === RotationFailure.RotationRefused;
    return { outcome: refused ? 'refused' : 'failed', message: shortened(causeOf(error).message) };
  }
}

/** What needs the secret for its end waits for it as long as it may, forward and back. */
function inTheWay({ environment, secret }: RotationInput | RestoreSecretInput, isGone: boolean): string {
  const running = `it is being changed already: keyturn status ${secretIdOf(environment, secret)}`;
  if (!isGone) return running;
  const end = `temporal workflow terminate --workflow-id ${rotationWorkflowId(environment, secret)}`;
  return `${running}. A rotation whose secret is gone neither ends nor rolls back for days: ${end}, then restore again`;
}
