import { z } from 'zod';
import { duration } from '../values';

/** Amazon S3 User Guide, 'General purpose bucket naming rules'. */
const bucket = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]$/,
    'is not the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots and hyphens, without s3:// and a path',
  )
  .describe('The S3 bucket that holds the backups; it must have versioning turned on');

/** KMS API Reference, CreateAlias: AliasName. A key by its ID could not be replaced without editing the catalog. */
const kmsKey = z
  .string()
  .regex(
    /^alias\/(?!aws\/)[\w/-]{1,250}$/,
    'is not the alias of a KMS key of yours: write alias/ and its name, such as alias/keyturn-backups',
  )
  .describe('The alias of the KMS key that encrypts the backups, such as alias/keyturn-backups');

/** How an environment's secrets are backed up. */
export const backup = z
  .strictObject({
    bucket,
    kmsKey,
    beforeRotation: z
      .boolean()
      .default(false)
      .describe('Whether each rotation first backs up the secret that it is going to change; false when absent'),
    keep: duration(
      "How long backups are kept; 90 days when absent. The bucket's lifecycle rule removes them, Keyturn never does",
    ).default(90 * 86_400_000),
  })
  .describe('Where backups of the secrets go');
