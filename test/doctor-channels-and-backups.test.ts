import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketLifecycleCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { CreateTopicCommand, SNSClient } from '@aws-sdk/client-sns';
import { stringify } from 'yaml';
import { freePort } from './lab/ports';
import { createBackupPlace } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { checkNamed, checksOf } from './testbed/doctor-checks';
import { startHttpReceiver, startMailReceiver } from './testbed/receivers';
import type { HttpReceiver, MailReceiver } from './testbed/receivers';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const CANARY = `canary-${randomBytes(12).toString('hex')}`;
const KEY = { env: 'KEYTURN_NOTIFY_KEY' };

let bed: Testbed;
let cli: Cli;
let place: BackupPlace;
let receiver: HttpReceiver;
let mail: MailReceiver;
let nowhere: string;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  place = await createBackupPlace();
  [receiver, mail] = await Promise.all([
    startHttpReceiver(),
    startMailReceiver({ username: 'keyturn', password: CANARY }),
  ]);
  for (const part of [receiver, mail]) bed.alsoStop(part);
  bed.alsoSecret(() => [CANARY]);
  nowhere = `http://127.0.0.1:${await freePort()}`;
});
afterAll(async () => {
  place.close();
  await cli.stop();
  await bed.close();
});

/** Declares one channel, which a route names. */
async function declare(channel: Record<string, unknown>): Promise<void> {
  await bed.declareNotifications({ channels: { team: channel }, routes: [{ channels: ['team'] }] });
}

const channelCheck = (env: Record<string, string> = { KEYTURN_NOTIFY_KEY: CANARY }) =>
  checkNamed(cli, 'channel team', env);

describe('a notification channel', () => {
  afterEach(() => {
    // Nobody was told anything.
    expect(receiver.received.filter(({ body }) => body !== '')).toEqual([]);
    expect(mail.received).toEqual([]);
  });

  test('whose credential is not set here is left to the worker', async () => {
    await declare({ type: 'webhook', url: receiver.origin, signingKey: KEY });
    expect(await channelCheck({})).toEqual({
      name: 'channel team',
      state: 'skipped',
      found: 'KEYTURN_NOTIFY_KEY is not set here; the worker needs it',
      todo: 'Run keyturn doctor with the environment of the worker.',
    });
  });

  test('whose credential is in a secret that does not exist', async () => {
    const secret = bed.secrets.idOf('no-such-channel');
    await declare({ type: 'webhook', url: receiver.origin, signingKey: { secret } });
    expect(await channelCheck()).toMatchObject({ state: 'failed', found: expect.stringContaining(secret) as string });
  });

  test('that is a webhook, there and away', async () => {
    await declare({ type: 'webhook', url: `${receiver.origin}/hook`, signingKey: KEY });
    expect(await channelCheck()).toMatchObject({
      state: 'ok',
      found: `${receiver.origin} answers; its credential is there, and was not tried`,
    });
    await declare({ type: 'webhook', url: nowhere, signingKey: KEY });
    expect(await channelCheck()).toMatchObject({
      state: 'failed',
      found: `${nowhere} does not answer (ECONNREFUSED)`,
      todo: expect.stringContaining('Rotations go on meanwhile') as string,
    });
  });

  test('that is Slack: its address is never shown', async () => {
    await declare({ type: 'slack', url: KEY });
    for (const [address, state] of [
      [`${receiver.origin}/services/${CANARY}`, 'ok'],
      [`${nowhere}/services/${CANARY}`, 'failed'],
      [CANARY, 'failed'],
    ] as const) {
      const found = await channelCheck({ KEYTURN_NOTIFY_KEY: address });
      expect(found.state).toBe(state);
      expect(JSON.stringify(found)).not.toContain(CANARY);
    }
  });

  test('that is a topic, there and not', async () => {
    const sns = new SNSClient({});
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `doctor-${bed.environment}` }));
    sns.destroy();
    await declare({ type: 'sns', topicArn: TopicArn });
    expect(await channelCheck()).toMatchObject({ state: 'ok', found: expect.stringContaining(TopicArn) as string });
    await declare({ type: 'sns', topicArn: `${TopicArn}-of-nobody` });
    expect(await channelCheck()).toMatchObject({
      state: 'failed',
      todo: expect.stringContaining('Create the topic') as string,
    });
  });

  test('that is a mail server: one that takes the login, one that does not, and none', async () => {
    const people = { from: 'keyturn@example.com', to: ['people@example.com'] };
    const login = { username: 'keyturn', password: KEY };
    const declared = { type: 'email', host: '127.0.0.1', tls: 'none', ...people, ...login };
    await declare({ ...declared, port: mail.port });
    expect(await channelCheck()).toMatchObject({
      state: 'ok',
      found: `127.0.0.1:${mail.port} takes its login; no mail was sent`,
    });
    const wrong = await channelCheck({ KEYTURN_NOTIFY_KEY: `not-${CANARY}` });
    expect(wrong).toMatchObject({
      state: 'failed',
      found: `127.0.0.1:${mail.port} cannot be used (EAUTH 535)`,
    });
    expect(JSON.stringify(wrong)).not.toContain(CANARY);
    const { port } = new URL(nowhere);
    await declare({ ...declared, port: Number(port) });
    expect(await channelCheck()).toMatchObject({
      state: 'failed',
      found: `127.0.0.1:${port} cannot be used (ESOCKET)`,
    });
  });
});

describe('the backups of an environment', () => {
  const backupChecks = async (backup: Record<string, unknown>) => {
    const secrets = { unused: { type: 'app-secret' } };
    await bed.writeCatalog(stringify({ environments: { [bed.environment]: { backup, secrets } } }));
    const checks = await checksOf(cli);
    return Object.fromEntries(
      checks.filter(({ name }) => name.includes('backup')).map(({ name, ...found }) => [name.split(' of ')[0], found]),
    );
  };
  const expires = (Days: number) =>
    place.s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: place.bucket,
        LifecycleConfiguration: {
          Rules: [{ Status: 'Enabled', Filter: { Prefix: 'secret-backups/' }, Expiration: { Days } }],
        },
      }),
    );

  test('are in order with a versioned bucket, a rule that keeps them long enough, and a key', async () => {
    await expires(90);
    const { bucket, kmsKey } = place;
    expect(await backupChecks({ bucket, kmsKey })).toEqual({
      'backup bucket': { state: 'ok', found: `${bucket} exists, with versioning` },
      'backup retention': {
        state: 'ok',
        found: `lifecycle rules of ${bucket} keep backups as long as the catalog says`,
      },
      'backup key': { state: 'ok', found: expect.stringMatching(/^alias\/\S+ is arn:aws:kms:/) as string },
      'storing backups': {
        state: 'skipped',
        found: 'not tried: that would store one',
        todo: 'The worker needs the rights of WorkerPolicy in deploy/aws/backup-bucket.yaml.',
      },
    });
    expect(await place.objects()).toEqual([]);
  });

  test('without a rule that removes them, or with one that does so too early, come with a warning', async () => {
    const { bucket, kmsKey } = place;
    await place.s3.send(new DeleteBucketLifecycleCommand({ Bucket: bucket }));
    expect((await backupChecks({ bucket, kmsKey }))['backup retention']).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('No lifecycle rule') as string,
    });
    await expires(7);
    expect((await backupChecks({ bucket, kmsKey }))['backup retention']).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('after 7 days') as string,
    });
  });

  test('without a bucket, without versioning and without a key', async () => {
    const { bucket, kmsKey } = place;
    const missing = await backupChecks({ bucket: `${bucket}-x`, kmsKey: `${kmsKey}-x` });
    expect(missing).toMatchObject({
      'backup bucket': { state: 'failed', found: expect.stringContaining('There is no bucket') as string },
      'backup retention': { state: 'skipped' },
      'backup key': { state: 'failed', found: expect.stringContaining(`no key ${kmsKey}-x`) as string },
    });
    await place.s3.send(new CreateBucketCommand({ Bucket: `${bucket}-y` }));
    expect((await backupChecks({ bucket: `${bucket}-y`, kmsKey }))['backup bucket']).toMatchObject({
      state: 'failed',
      found: expect.stringContaining('put-bucket-versioning') as string,
    });
  });
});
