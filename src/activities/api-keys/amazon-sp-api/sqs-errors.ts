import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import { awsAnswerOf, errorNameOf } from '../../aws-errors';
import { failure } from '../../failures';

const NO_SUCH_QUEUE = new Set(['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue', 'InvalidAddress']);

/** What an error of SQS means for a rotation. Its own message is not passed on: it may quote the request. */
export function sqsFailure(error: unknown, queueUrl: string, operation: string): ApplicationFailure {
  const name = errorNameOf(error);
  const answer = awsAnswerOf(error);
  if (answer === 'throttled' || name === 'OverLimit') {
    return failure(Cause.Throttled, `SQS throttles ${operation} of ${queueUrl}; it is tried again.`);
  }
  if (answer === 'not-permitted') {
    return failure(
      Cause.PermissionDenied,
      `The worker may not call sqs:${operation} on ${queueUrl} (${name}). Grant it to the worker's IAM role, and kms:Decrypt if the ` +
        'queue is encrypted with a KMS key of yours. The messages in the queue were left there.',
    );
  }
  if (NO_SUCH_QUEUE.has(name)) {
    return failure(
      Cause.CatalogInvalid,
      `There is no queue ${queueUrl}, which the catalog names for new client secrets. Correct \`queueUrl\`; it is the queue that is ` +
        'registered in the Developer Console under Notification Preferences.',
    );
  }
  return failure(Cause.TargetUnavailable, `SQS did not carry out ${operation} of ${queueUrl} (${name}).`);
}
