import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';

const THROTTLED = new Set(['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'RequestLimitExceeded']);
const NOT_PERMITTED = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
]);
/** Credentials that are being renewed. */
const EXPIRED = new Set(['ExpiredTokenException', 'ExpiredToken', 'RequestExpired']);

/** The SDK's name of an error, or of anything else that was thrown. */
export function errorNameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** What an error of the AWS SDK means for a rotation. The SDK's own message is not passed on where it could quote a request. */
export function toFailure(error: unknown, secretId: string, operation: string): ApplicationFailure {
  const name = errorNameOf(error);
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
  if (THROTTLED.has(name) || status === 429) {
    return failure(Cause.Throttled, `Secrets Manager throttles ${operation} of ${secretId}; it is tried again.`);
  }
  if (NOT_PERMITTED.has(name)) {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call secretsmanager:${operation} on ${secretId} (${name}). Grant it to the worker's IAM role.`,
    );
  }
  // Any other 4xx is an answer, and would be the same again (AWS: 'Common errors').
  if (status !== undefined && status >= 400 && status < 500 && !EXPIRED.has(name)) {
    return failure(Cause.SecretUnusable, `Secrets Manager refuses ${operation} of ${secretId} with ${name}.`);
  }
  return failure(Cause.TargetUnavailable, `Secrets Manager did not answer ${operation} of ${secretId} (${name}).`);
}
