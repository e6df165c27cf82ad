import { randomBytes } from 'node:crypto';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import type { Testbed } from './testbed';
import type { BackupInput, BackupResult, RestoreInput, RestoreResult } from '../../src/rotation/backup';
import { backupWorkflowId, parseBackupUrl, restoreWorkflowId } from '../../src/rotation/backup';

/** A bucket and a key of one test file, in the lab's AWS. */
export interface BackupPlace {
  bucket: string;
  kmsKey: string;
  /** Goes into the catalog's environment. */
  policy: { backup: Record<string, unknown> };
  s3: S3Client;
  kms: KMSClient;
  /** An alias of another key. */
  anotherKey(): Promise<{ alias: string; arn: string }>;
  objects(): Promise<string[]>;
  versions(): Promise<ListObjectVersionsCommandOutput>;
  read(url: string): Promise<Uint8Array>;
  write(url: string, bytes: Uint8Array): Promise<void>;
  remove(url: string): Promise<void>;
  close(): void;
}

const options = () => ({
  endpoint: process.env['AWS_ENDPOINT_URL'],
  region: process.env['AWS_REGION'],
  credentials: {
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
  },
});

export async function createBackupPlace(policy: Record<string, unknown> = {}): Promise<BackupPlace> {
  const name = `keyturn-test-${randomBytes(6).toString('hex')}`;
  const s3 = new S3Client({ ...options(), forcePathStyle: true });
  const kms = new KMSClient(options());
  await s3.send(new CreateBucketCommand({ Bucket: name }));
  await s3.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }));

  async function createKey(alias: string): Promise<string> {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: KeyMetadata?.KeyId }));
    return KeyMetadata?.Arn ?? '';
  }

  const kmsKey = `alias/${name}`;
  await createKey(kmsKey);
  const at = (url: string) => {
    const { bucket: Bucket, key: Key } = parseBackupUrl(url) ?? { bucket: '', key: '' };
    return { Bucket, Key };
  };
  return {
    bucket: name,
    kmsKey,
    policy: { backup: { bucket: name, kmsKey, ...policy } },
    s3,
    kms,
    async anotherKey() {
      const alias = `alias/${name}-${randomBytes(3).toString('hex')}`;
      return { alias, arn: await createKey(alias) };
    },
    async objects() {
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: name }));
      return Contents.map(({ Key = '' }) => `s3://${name}/${Key}`);
    },
    versions: () => s3.send(new ListObjectVersionsCommand({ Bucket: name })),
    async read(url) {
      const { Body } = await s3.send(new GetObjectCommand(at(url)));
      return (await Body?.transformToByteArray()) ?? new Uint8Array();
    },
    async write(url, bytes) {
      await s3.send(new PutObjectCommand({ ...at(url), Body: bytes }));
    },
    async remove(url) {
      await s3.send(new DeleteObjectCommand(at(url)));
    },
    close() {
      s3.destroy();
      kms.destroy();
    },
  };
}

export async function startBackup(bed: Testbed, input: Partial<BackupInput> = {}) {
  const { environment, taskQueue } = bed;
  return bed.client.workflow.start<(input: BackupInput) => Promise<BackupResult>>('backupSecrets', {
    taskQueue,
    workflowId: backupWorkflowId(environment),
    args: [{ environment, requestedBy: 'tester', ...input }],
  });
}

export async function backUp(bed: Testbed): Promise<BackupResult> {
  return (await startBackup(bed)).result();
}

export async function startRestore(bed: Testbed, input: Partial<RestoreInput> = {}) {
  const { environment, taskQueue } = bed;
  return bed.client.workflow.start<(input: RestoreInput) => Promise<RestoreResult>>('restoreSecrets', {
    taskQueue,
    workflowId: restoreWorkflowId(environment),
    args: [{ environment, from: 'latest', requestedBy: 'tester', ...input }],
  });
}

export async function restore(bed: Testbed, input: Partial<RestoreInput> = {}): Promise<RestoreResult> {
  return (await startRestore(bed, input)).result();
}
