import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';

const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'SlowDown',
  'LimitExceeded',
]);
const NOT_PERMITTED = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'Forbidden',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
]);
/** Passes although its status is 4xx. */
const PASSING = new Set([
  // Credentials that are being renewed.
  'ExpiredTokenException',
  'ExpiredToken',
  'RequestExpired',
  // Another request on the same object or bucket, or a slow connection (Amazon S3 API reference, 'Error responses').
  'ConditionalRequestConflict',
  'OperationAborted',
  'RequestTimeout',
]);

/** The SDK's name of an error, or of anything else that was thrown. */
export function awsErrorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

export function httpStatusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}

/**
 * What an error of S3 or KMS means for a backup.
 *
 * @param operation as IAM calls it, such as `s3:GetObject`.
 * @param refused what it means that AWS answers no.
 */
export function backupFailure(error: unknown, operation: string, where: string, refused: Cause): ApplicationFailure {
  const name = awsErrorName(error);
  const status = httpStatusOf(error);
  if (THROTTLED.has(name) || status === 429 || status === 503) {
    return failure(Cause.Throttled, `AWS throttles ${operation} on ${where}; it is tried again.`);
  }
  if (NOT_PERMITTED.has(name) || status === 403) {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call ${operation} on ${where} (${name}). Grant it to the worker's IAM role; docs/security.md lists what backups need.`,
    );
  }
  // Any other 4xx is an answer, and would be the same again (AWS: 'Common errors').
  if (status !== undefined && status >= 400 && status < 500 && !PASSING.has(name)) {
    return failure(refused, `AWS refuses ${operation} on ${where} with ${name}.`);
  }
  return failure(Cause.TargetUnavailable, `AWS did not answer ${operation} on ${where} (${name}).`);
}
