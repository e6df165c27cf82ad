import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { failure } from '../failures';

/** What an error of the AWS SDK means for a rotation. The SDK's own message is not passed on where it could quote a request. */
export function toFailure(error: unknown, secretId: string, operation: string): ApplicationFailure {
  const name = errorNameOf(error);
  const answer = awsAnswerOf(error);
  if (answer === 'throttled') {
    return failure(Cause.Throttled, `Secrets Manager throttles ${operation} of ${secretId}; it is tried again.`);
  }
  if (answer === 'not-permitted') {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call secretsmanager:${operation} on ${secretId} (${name}). Grant it to the worker's IAM role.`,
    );
  }
  if (answer === 'refused') {
    return failure(Cause.SecretUnusable, `Secrets Manager refuses ${operation} of ${secretId} with ${name}.`);
  }
  return failure(Cause.TargetUnavailable, `Secrets Manager did not answer ${operation} of ${secretId} (${name}).`);
}
