import type { DescribeSecretCommandOutput } from '@aws-sdk/client-secrets-manager';
import { Cause } from '../../rotation/errors';
import type { SecretInspection } from '../../rotation/types';
import { failure } from '../failures';
import { labelsOf } from './staging-labels';
import type { InspectOptions } from './store';

/**
 * Whether a secret is Keyturn's to rotate, and where its labels are then.
 *
 * @param secret as AWS describes it; `undefined` when there is none.
 * @throws ForeignRotation, SecretUnusable or VersionNotExpected when it is not.
 */
export function inspectionOf(
  secretId: string,
  secret: DescribeSecretCommandOutput | undefined,
  { deletedToo = false, expectedByAws }: InspectOptions = {},
): SecretInspection {
  if (!secret && expectedByAws === undefined) return { exists: false, labels: {} };
  if (!secret) throw failure(Cause.SecretUnusable, `${secretId} does not exist in Secrets Manager.`);
  if (secret.DeletedDate && !deletedToo) {
    throw failure(
      Cause.SecretUnusable,
      `${secretId} is scheduled for deletion; nothing was changed. To keep it: aws secretsmanager restore-secret --secret-id ${secretId}`,
    );
  }
  if (secret.OwningService) {
    throw failure(
      Cause.ForeignRotation,
      `${secretId} belongs to the AWS service ${secret.OwningService}, which rotates it. It was left as it is; take it out of the catalog.`,
    );
  }
  const labels = labelsOf(secret);
  if (expectedByAws !== undefined) {
    // Any other version may be an old one, whose value must not come back because somebody can invoke the rotation function.
    if (!secret.RotationEnabled || ![labels.pending, labels.current].includes(expectedByAws)) {
      throw failure(
        Cause.VersionNotExpected,
        `Secrets Manager does not expect version ${expectedByAws} of ${secretId}: ${secret.RotationEnabled ? `AWSPENDING is on ${labels.pending ?? 'no version'}` : 'its own rotation is off'}. To start one: aws secretsmanager rotate-secret --secret-id ${secretId}`,
      );
    }
  } else if (secret.RotationEnabled) {
    throw failure(
      Cause.ForeignRotation,
      `AWS rotates ${secretId} itself; two rotators would undo each other's work. Nothing was changed. To hand it to Keyturn: aws secretsmanager cancel-rotate-secret --secret-id ${secretId}`,
    );
  }
  return {
    exists: true,
    arn: secret.ARN,
    kmsKeyId: secret.KmsKeyId,
    labels,
    ...(secret.DeletedDate && { scheduledForDeletion: true }),
  };
}
