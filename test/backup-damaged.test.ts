import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { UpdateAliasCommand } from '@aws-sdk/client-kms';
import { createBackupEnvelope } from '../src/activities/backup/envelope';
import type { BackupResult, RestoreInput } from '../src/rotation/backup';
import { backupObjectKey } from '../src/rotation/backup';
import { rotationWorkflowId } from '../src/rotation/names';
import { backUp, createBackupPlace, restore, startBackup, startRestore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createSubject } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
let subject: Subject;
let backup: BackupResult;
let bytes: Uint8Array;

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed(place.policy);
  await bed.startWorker();
  subject = await createSubject(bed, 'single-user', 'login');
  backup = await backUp(bed);
  bytes = await place.read(backup.url);
  // So that a restore would have something to do.
  await bed.rotate('login');
});
afterAll(async () => {
  await bed.close();
  place.close();
});

const refusal = async (input: Partial<RestoreInput>) => failureOf((await startRestore(bed, input)).result());

/** What is stored under a backup's name, with what it must be refused. */
async function expectRefused(input: Partial<RestoreInput>, type: string, says: string): Promise<void> {
  const before = await subject.situation();
  expect(await refusal(input)).toMatchObject({
    type: 'RestoreRefused',
    message: expect.stringContaining(says) as string,
    details: { cause: { type } },
  });
  expect(await subject.situation()).toEqual(before);
}

async function altered(alter: (copy: Buffer) => Uint8Array): Promise<Partial<RestoreInput>> {
  await place.write(backup.url, alter(Buffer.from(bytes)));
  return { from: backup.url };
}

describe('a backup is refused before anything changes', () => {
  afterEach(() => place.write(backup.url, bytes));

  test.each([0.01, 0.2, 0.5, 0.9, 0.999])('with a flipped bit %d of its way through', async (where) => {
    const from = await altered((copy) => {
      copy.writeUInt8(copy.readUInt8(Math.floor(copy.length * where)) ^ 4, Math.floor(copy.length * where));
      return copy;
    });
    const { details } = (await refusal(from)) as { details: { cause: { type: string } } };
    expect(['BackupDamaged', 'BackupForeign', 'BackupContextWrong', 'BackupWrongKey', 'BackupTruncated']).toContain(
      details.cause.type,
    );
  });

  test('with a flipped bit in what it holds', async () => {
    const from = await altered((copy) =>
      copy.fill(copy.readUInt8(copy.length - 300) ^ 1, copy.length - 300, copy.length - 299),
    );
    await expectRefused(from, 'BackupDamaged', 'is not what was stored');
  });

  test.each([0, 10, 200, 500])('that ends after %d bytes', async (length) => {
    await expectRefused(await altered((copy) => copy.subarray(0, length)), 'BackupTruncated', 'half of an upload');
  });

  test('that was uploaded only half', async () => {
    await expectRefused(
      await altered((copy) => copy.subarray(0, copy.length / 2)),
      'BackupTruncated',
      'half of an upload',
    );
  });

  test('with something behind its end', async () => {
    await expectRefused(
      await altered((copy) => Buffer.concat([copy, copy])),
      'BackupDamaged',
      'is not what was stored',
    );
  });

  test('that is no backup at all', async () => {
    await expectRefused(await altered(() => Buffer.from('{"secrets": []}')), 'BackupDamaged', 'is not what was stored');
  });

  test('that is there no more, or never was', async () => {
    await place.remove(backup.url);
    await expectRefused({ from: backup.url }, 'BackupMissing', `There is no backup ${backup.url}`);
    await expectRefused({ from: 'latest' }, 'BackupMissing', `There is no backup of ${bed.environment}`);
    await expectRefused({ from: '20200101T000000.000Z' }, 'BackupMissing', 'There is no backup s3://');
  });

  test('of another environment, copied to this one’s place', async () => {
    const envelope = createBackupEnvelope(place.kms);
    const keyArn = await envelope.keyArnOf(place.kmsKey);
    const foreign = await envelope.seal('{}', { environment: 'another', time: backup.time, keyArn });
    await expectRefused(await altered(() => foreign), 'BackupForeign', 'is a backup of the environment another');
  });

  test('under the name of another time', async () => {
    const url = backup.url.replace(backup.time, '20200101T000000.000Z');
    await place.write(url, bytes);
    await expectRefused({ from: url }, 'BackupContextWrong', `but was taken at ${backup.time}`);
    await place.remove(url);
  });

  test('under another key, unless the operator vouches for it', async () => {
    const other = await place.anotherKey();
    const moved = await createBackupEnvelope(place.kms).keyArnOf(place.kmsKey);
    await place.kms.send(new UpdateAliasCommand({ AliasName: place.kmsKey, TargetKeyId: other.arn }));
    try {
      await expectRefused({ from: backup.url }, 'BackupWrongKey', `--kms-key ${moved}`);
      expect(await restore(bed, { from: backup.url, kmsKey: moved, dryRun: true })).toMatchObject({
        outcome: 'dry-run',
      });
    } finally {
      await place.kms.send(new UpdateAliasCommand({ AliasName: place.kmsKey, TargetKeyId: moved }));
    }
  });

  test('for a secret that it does not hold', async () => {
    await expectRefused({ secrets: ['login', 'lgin'] }, 'BackupMissing', 'does not hold lgin');
  });

  test('named in a way that no backup is', async () => {
    await expectRefused({ from: 'yesterday' }, 'BadInput', "'yesterday' names no backup");
    await expectRefused({ from: `s3://${place.bucket}/notes.txt` }, 'BackupMissing', 'is not named like a backup');
  });
});

test('nobody can start the restore of a secret with a backup of their own choosing', async () => {
  const { environment, taskQueue, client } = bed;
  const keyArn = await createBackupEnvelope(place.kms).keyArnOf(place.kmsKey);
  const reference = { environment, bucket: place.bucket, key: backupObjectKey(environment, backup.time) };
  const before = await subject.situation();
  const started = client.workflow.execute('restoreSecret', {
    taskQueue,
    workflowId: rotationWorkflowId(environment, 'login'),
    args: [{ environment, secret: 'login', backup: { ...reference, time: backup.time, keyArn } }],
  });
  expect(await failureOf(started)).toMatchObject({
    type: 'RotationRefused',
    message: expect.stringContaining(`keyturn restore ${environment} --from latest`) as string,
    details: { cause: { type: 'BadInput' } },
  });
  expect(await subject.situation()).toEqual(before);
});

test('a restore runs under its own workflow ID and no other', async () => {
  const { environment, taskQueue, client } = bed;
  const started = client.workflow.execute('restoreSecrets', {
    taskQueue,
    workflowId: `another-restore/${environment}`,
    args: [{ environment, from: backup.url }],
  });
  expect(await failureOf(started)).toMatchObject({
    type: 'RestoreRefused',
    message: expect.stringContaining(`under the workflow ID restore/${environment}`) as string,
    details: { cause: { type: 'WrongWorkflowId' } },
  });
});

test('an earlier version of an object that was overwritten is restored by its version', async () => {
  const { Versions = [] } = await place.versions();
  const first = Versions.filter(({ Key }) => backup.url.endsWith(Key ?? '-')).at(-1)?.VersionId;
  await place.write(backup.url, Buffer.from('overwritten'));
  const from = `${backup.url}?versionId=${first}`;
  const planned = await restore(bed, { from, dryRun: true });
  expect(planned).toMatchObject({ outcome: 'dry-run', from });
  expect(planned.secrets).toContainEqual({
    secret: 'login',
    difference: 'differs',
    outcome: 'would-be-restored',
    versionId: expect.any(String) as string,
  });
  expect(await restore(bed, { from: planned.from, secrets: ['login'] })).toMatchObject({
    from,
    secrets: [{ secret: 'login', outcome: 'restored' }],
  });
});

test('what a dry run showed as the latest backup can be restored after it was overwritten', async () => {
  await place.write(backup.url, bytes);
  const { from } = await restore(bed, { from: 'latest', dryRun: true });
  await place.write(backup.url, Buffer.from('overwritten'));
  expect(await restore(bed, { from, dryRun: true })).toMatchObject({ outcome: 'dry-run', from });
});

test('no backup is stored in a bucket without versioning, and the message turns it on', async () => {
  const VersioningConfiguration = { Status: 'Suspended' } as const;
  await place.s3.send(new PutBucketVersioningCommand({ Bucket: place.bucket, VersioningConfiguration }));
  const objects = await place.objects();
  expect(await failureOf((await startBackup(bed)).result())).toMatchObject({
    type: 'BackupFailed',
    message: expect.stringContaining(
      `aws s3api put-bucket-versioning --bucket ${place.bucket} --versioning-configuration Status=Enabled`,
    ) as string,
    details: { cause: { type: 'BackupBucketUnsafe' } },
  });
  expect(await place.objects()).toEqual(objects);
});

test('the name of a backup is its environment and time', () => {
  expect(backup.url).toBe(`s3://${place.bucket}/${backupObjectKey(bed.environment, backup.time)}`);
});
