import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { failure } from '../failures';

/** Passes although its status is 4xx: another request on the same object or bucket, or a slow connection (Amazon S3 API reference, 'Error responses'). */
const PASSING = new Set(['ConditionalRequestConflict', 'OperationAborted', 'RequestTimeout']);

/**
 * What an error of S3 or KMS means for a backup.
 *
 * @param operation as IAM calls it, such as `s3:GetObject`.
 * @param refused what it means that AWS answers no.
 */
export function backupFailure(error: unknown, operation: string, where: string, refused: Cause): ApplicationFailure {
  const name = errorNameOf(error);
  const answer = awsAnswerOf(error);
  if (answer === 'throttled') {
    return failure(Cause.Throttled, `AWS throttles ${operation} on ${where}; it is tried again.`);
  }
  if (answer === 'not-permitted') {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call ${operation} on ${where} (${name}). Grant it to the worker's IAM role; docs/security.md lists what backups need.`,
    );
  }
  if (answer === 'refused' && !PASSING.has(name)) {
    return failure(refused, `AWS refuses ${operation} on ${where} with ${name}.`);
  }
  return failure(Cause.TargetUnavailable, `AWS did not answer ${operation} on ${where} (${name}).`);
}
