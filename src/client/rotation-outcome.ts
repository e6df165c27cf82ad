import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/client';
import type { RotationResult } from '../rotation/types';
import { RotationFailed } from './errors';

/**
 * What an operator is told when a rotation's workflow did not complete.
 *
 * @param cause the cause of the SDK's WorkflowFailedError.
 */
export function rotationFailed(secretId: string, cause: Error | undefined): RotationFailed {
  if (cause instanceof ApplicationFailure) {
    return new RotationFailed(cause.type ?? 'Unexpected', secretId, cause.message, cause.details?.[0]);
  }
  if (cause instanceof TerminatedFailure) {
    return new RotationFailed('Terminated', secretId, `The rotation of ${secretId} was terminated: ${cause.message}`);
  }
  if (cause instanceof CancelledFailure) {
    return new RotationFailed('Cancelled', secretId, `The rotation of ${secretId} was cancelled.`);
  }
  if (cause instanceof TimeoutFailure) {
    return new RotationFailed('TimedOut', secretId, `The rotation of ${secretId} ran out of time.`);
  }
  return new RotationFailed(
    'Unexpected',
    secretId,
    `The rotation of ${secretId} failed: ${cause?.message ?? 'no reason given'}`,
  );
}

/**
 * The result of a rotation that rotated; an abort ends the workflow in good order, but whoever waits for the rotation did not
 * get it.
 *
 * @throws RotationFailed of type `Aborted`.
 */
export function rotatedOrAborted(secretId: string, result: RotationResult): RotationResult {
  if (result.outcome !== 'aborted') return result;
  const by = result.requestedBy ? ` by ${result.requestedBy}` : '';
  const why = result.reason ? `: ${result.reason}` : '';
  throw new RotationFailed(
    'Aborted',
    secretId,
    `The rotation of ${secretId} was aborted${by}${why}. ${whatCurrentIs(result)}`,
    result,
  );
}

function whatCurrentIs({ versions }: RotationResult): string {
  const version = versions.current ?? versions.previous;
  return version ? `AWSCURRENT is version ${version}.` : 'AWSCURRENT is as it was.';
}
