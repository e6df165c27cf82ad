import { createHash } from 'node:crypto';
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { HeadObjectCommandOutput, LifecycleRule, S3Client } from '@aws-sdk/client-s3';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { outsideCall } from '../boundary/activity-scope';
import { circuitBreakerFor } from '../circuit-breaker';
import { failure } from '../failures';
import { errorNameOf, httpStatusOf } from '../aws-errors';
import { backupFailure } from './aws-errors';

/** An object as the bucket lists it. */
export interface StoredBackup {
  key: string;
  bytes: number;
}

/** The bucket in the words of a backup. What it is given is encrypted already. */
export interface BackupBucket {
  /** @throws BackupBucketUnsafe when what is overwritten or deleted would be lost. */
  refuseUnversioned(bucket: string): Promise<void>;
  /** The rules by which S3 removes objects; `undefined` when they may not be read. */
  lifecycleRules(bucket: string): Promise<LifecycleRule[] | undefined>;
  /** Stores an object once: one that is there under this name already stays. @throws BackupBucketUnsafe when it is not encrypted. */
  put(bucket: string, key: string, bytes: Uint8Array, keyArn: string): Promise<void>;
  /** S3's version of an object. @throws BackupMissing */
  find(bucket: string, key: string, objectVersion?: string): Promise<{ objectVersion?: string }>;
  /** All objects whose names begin so, without those in folders below; oldest first where their names are times. */
  list(bucket: string, prefix: string): Promise<StoredBackup[]>;
  /** @throws BackupMissing; BackupDamaged when S3's checksum does not fit. */
  get(bucket: string, key: string, objectVersion?: string): Promise<Uint8Array>;
}

/** The object is not there, or a delete marker hides it. */
const GONE = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion', 'NoSuchBucket', 'MethodNotAllowed']);

export function createBackupBucket(s3: Pick<S3Client, 'send'>): BackupBucket {
  const breaker = circuitBreakerFor('Amazon S3');

  async function call<T>(operation: string, where: string, send: () => Promise<T>): Promise<T> {
    return breaker(() =>
      outsideCall('s3', operation, async () => {
        try {
          return await send();
        } catch (error) {
          if (error instanceof ApplicationFailure) throw error;
          if (errorNameOf(error) === 'NoSuchBucket') {
            throw failure(
              Cause.BackupMissing,
              `There is no bucket for ${where} in the worker's account. Create it (deploy/aws/backup-bucket.yaml), or correct backup.bucket in the catalog.`,
            );
          }
          throw backupFailure(error, `s3:${operation}`, where, Cause.BackupMissing);
        }
      }),
    );
  }

  const missing = (url: string) =>
    failure(
      Cause.BackupMissing,
      `There is no backup ${url}; it was deleted, or never completed. Nothing was changed. See what there is: keyturn backup <environment> --list`,
    );

  async function head(bucket: string, key: string, VersionId?: string): Promise<HeadObjectCommandOutput> {
    const url = `s3://${bucket}/${key}`;
    return call('GetObject', url, async () => {
      try {
        return await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key, VersionId }));
      } catch (error) {
        if (GONE.has(errorNameOf(error)) || httpStatusOf(error) === 404) throw missing(url);
        throw error;
      }
    });
  }

  return {
    async refuseUnversioned(bucket) {
      const { Status } = await call('GetBucketVersioning', `s3://${bucket}`, () =>
        s3.send(new GetBucketVersioningCommand({ Bucket: bucket })),
      );
      if (Status === 'Enabled') return;
      throw failure(
        Cause.BackupBucketUnsafe,
        `The bucket ${bucket} does not keep what is overwritten or deleted, so that a backup could be lost without a trace; nothing was stored. Turn versioning on: aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled`,
      );
    },

    async lifecycleRules(bucket) {
      return outsideCall('s3', 'GetLifecycleConfiguration', async () => {
        try {
          const { Rules } = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
          return Rules ?? [];
        } catch (error) {
          // Only a warning hangs on it.
          return errorNameOf(error) === 'NoSuchLifecycleConfiguration' ? [] : undefined;
        }
      });
    },

    async put(bucket, key, bytes, keyArn) {
      const url = `s3://${bucket}/${key}`;
      await call('PutObject', url, async () => {
        try {
          await s3.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: key,
              Body: bytes,
              ContentType: 'application/octet-stream',
              ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
              ServerSideEncryption: 'aws:kms',
              SSEKMSKeyId: keyArn,
              IfNoneMatch: '*',
            }),
          );
        } catch (error) {
          // An attempt whose answer was lost has stored it.
          if (errorNameOf(error) !== 'PreconditionFailed' && httpStatusOf(error) !== 412) throw error;
        }
      });
      const stored = await head(bucket, key);
      if (stored.ServerSideEncryption === 'aws:kms' || stored.ServerSideEncryption === 'aws:kms:dsse') return;
      throw failure(
        Cause.BackupBucketUnsafe,
        `${url} was stored without aws:kms (${stored.ServerSideEncryption ?? 'no encryption'}), although it was asked for. What it holds is encrypted by Keyturn all the same. Look at the bucket's policy and encryption.`,
      );
    },

    async find(bucket, key, objectVersion) {
      return { objectVersion: (await head(bucket, key, objectVersion)).VersionId };
    },

    async list(bucket, prefix) {
      const found: StoredBackup[] = [];
      let ContinuationToken: string | undefined;
      do {
        const page = await call('ListBucket', `s3://${bucket}/${prefix}`, () =>
          s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, Delimiter: '/', ContinuationToken })),
        );
        found.push(...(page.Contents ?? []).map(({ Key = '', Size = 0 }) => ({ key: Key, bytes: Size })));
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken);
      return found;
    },

    async get(bucket, key, objectVersion) {
      const url = `s3://${bucket}/${key}`;
      return call('GetObject', url, async () => {
        try {
          const { Body } = await s3.send(
            new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: objectVersion, ChecksumMode: 'ENABLED' }),
          );
          return (await Body?.transformToByteArray()) ?? new Uint8Array();
        } catch (error) {
          if (GONE.has(errorNameOf(error))) throw missing(url);
          if (error instanceof Error && /checksum mismatch/i.test(error.message)) {
            throw failure(
              Cause.BackupDamaged,
              `What S3 gave of ${url} does not fit its checksum. Nothing was changed. Take another backup, or an earlier version of the object.`,
            );
          }
          throw error;
        }
      });
    },
  };
}
