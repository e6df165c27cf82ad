import { randomBytes } from 'node:crypto';
import { DeleteSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { BackupResult, RestoreResult } from '../src/rotation/backup';
import { freePort } from './lab/ports';
import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startQuotingAws } from './testbed/quoting-aws';
import type { QuotingAws } from './testbed/quoting-aws';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const LOST = ['lost/one', 'lost/two', 'lost/three'];

let bed: Testbed;
let place: BackupPlace;
let aws: QuotingAws;
let cli: Cli;
let backup: BackupResult;
let values: Map<string, string>;

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed({ ...place.policy, stepTimeout: '5 seconds' });
  aws = await startQuotingAws(bed.env['AWS_ENDPOINT_URL'] ?? '');
  bed.alsoStop(aws);
  cli = createCli(bed);
  for (const name of [...LOST, 'denied', 'hidden', 'undecryptable', 'denied-later', 'binary-later', 'unused']) {
    await bed.secrets.create(name, randomBytes(16).toString('hex'));
    await bed.declare({ [name]: { type: 'app-secret' } });
  }
  await bed.databases.singleUser('down', { fields: { port: await freePort() } });
  await bed.databases.singleUser('without-tls', { fields: { sslmode: 'require' } });
  await bed.databases.singleUser('works');
  await bed.secrets.create('nonsense', randomBytes(16).toString('hex'));
  await bed.declare({ nonsense: { type: 'database', strategy: 'single-user', sslmode: 'disable' } });
  refuse('GetSecretValue', 'denied', 'AccessDeniedException');
  refuse('DescribeSecret', 'hidden', 'AccessDeniedException');
  refuse('GetSecretValue', 'undecryptable', 'DecryptionFailure');
  await bed.startWorker({ AWS_ENDPOINT_URL_SECRETS_MANAGER: aws.endpoint });
  backup = await backUp(bed);
  values = new Map(await Promise.all(LOST.map(async (name) => [name, await bed.secrets.value(name)] as const)));
}, 120_000);
afterAll(async () => {
  await cli.stop();
  await bed.close();
  place.close();
});

/** Has AWS refuse an operation on one secret from now on. */
function refuse(operation: string, secret: string, type: string): void {
  const body = JSON.stringify({ __type: type, message: 'no' });
  aws.answer(operation, bed.secrets.idOf(secret), () => ({ status: 400, body }));
}

const idOf = (secret: string) => bed.secrets.idOf(secret);
const saying = (text: string) => expect.stringContaining(text) as string;

test('a backup holds what can be read, and says of each other one why it is left out', () => {
  expect(backup.secrets).toBe(LOST.length + 7);
  const left = (secret: string, why: string) => ({ secret, expected: true, why: `cannot be read: ${why}` });
  const refusedBy = (operation: string, secret: string) =>
    `The worker may not call secretsmanager:${operation} on ${idOf(secret)} (AccessDeniedException). Grant it to the worker's IAM role`;
  expect(backup.leftOut).toEqual([
    left('denied', refusedBy('GetSecretValue', 'denied')),
    left('hidden', refusedBy('DescribeSecret', 'hidden')),
    left('undecryptable', `Secrets Manager refuses GetSecretValue of ${idOf('undecryptable')} with DecryptionFailure`),
  ]);
});

test('keyturn backup names them, and ends with 1', async () => {
  const { code, stdout, stderr } = await cli.run(['backup', bed.environment]);
  expect(code).toBe(1);
  expect(stdout + stderr).toContain('Warning: left out: undecryptable cannot be read: Secrets Manager refuses');
  expect(stderr).toContain('3 secrets that it should hold are not in it');
});

describe('half of the secrets are lost, and others cannot be read or asked about', () => {
  const UNKNOWN = { down: 'cannot be reached', 'without-tls': 'offers no TLS', nonsense: 'is not JSON' };

  beforeAll(async () => {
    for (const name of LOST) {
      await bed.secretsManager.send(
        new DeleteSecretCommand({ SecretId: idOf(name), ForceDeleteWithoutRecovery: true }),
      );
    }
    refuse('DescribeSecret', 'denied-later', 'AccessDeniedException');
    await bed.secretsManager.send(
      new PutSecretValueCommand({ SecretId: idOf('binary-later'), SecretBinary: randomBytes(16) }),
    );
  });

  const found = ({ secrets }: RestoreResult) => new Map(secrets.map((secret) => [secret.secret, secret]));

  test('a dry run says so of each', async () => {
    const planned = found(await restore(bed, { from: backup.url, dryRun: true }));
    for (const name of LOST) expect(planned.get(name)).toMatchObject({ outcome: 'would-be-restored' });
    expect(planned.get('denied-later')).toMatchObject({
      difference: 'unreadable',
      outcome: 'refused',
      message: saying('may not call secretsmanager:DescribeSecret'),
    });
    expect(planned.get('binary-later')).toMatchObject({
      difference: 'unreadable',
      outcome: 'would-be-restored',
      message: saying('holds a binary value'),
    });
    expect(planned.get('hidden')).toMatchObject({
      difference: 'not-in-backup',
      outcome: 'left-out',
      lost: true,
      message: saying('may not call secretsmanager:DescribeSecret'),
    });
    expect(planned.get('works')).toMatchObject({ outcome: 'same' });
  });

  test('keyturn restore --dry-run shows a database that cannot be asked', async () => {
    const { stdout } = await cli.run(['restore', bed.environment, '--from', backup.url, '--dry-run']);
    expect(stdout).toMatch(/down +same, but its database cannot be asked +failed: AWSCURRENT is what the backup holds/);
  });

  test('the others are restored, and those are left alone', async () => {
    const before = await Promise.all(Object.keys(UNKNOWN).map((name) => bed.secrets.labels(name)));
    const restored = await restore(bed, { from: backup.url });
    expect(restored.outcome).toBe('incomplete');
    for (const name of LOST) {
      expect(found(restored).get(name)).toMatchObject({ difference: 'missing', outcome: 'restored' });
      expect(await bed.secrets.value(name)).toBe(values.get(name));
    }
    expect(found(restored).get('binary-later')).toMatchObject({ difference: 'unreadable', outcome: 'restored' });
    for (const [name, why] of Object.entries(UNKNOWN)) {
      expect(found(restored).get(name)).toMatchObject({
        difference: 'target-unknown',
        outcome: 'failed',
        message: saying(why),
      });
    }
    expect(await Promise.all(Object.keys(UNKNOWN).map((name) => bed.secrets.labels(name)))).toEqual(before);
  });
});
