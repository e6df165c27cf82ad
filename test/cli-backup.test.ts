import { DeleteSecretCommand, RestoreSecretCommand } from '@aws-sdk/client-secrets-manager';
import { inLanes } from '../src/rotation/in-lanes';
import type { BackupResult, RestoreResult } from '../src/rotation/backup';
import { createBackupPlace } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const MANY = 300;

let bed: Testbed;
let place: BackupPlace;
let cli: Cli;
const names = Array.from({ length: MANY }, (_, n) => `many/secret-${n}`);

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed(place.policy);
  cli = createCli(bed);
  await bed.declare(Object.fromEntries(names.map((name) => [name, { type: 'app-secret' as const }])));
  await inLanes(names, 8, async (name) => void (await bed.secrets.create(name, `value-of-${name}-${bed.environment}`)));
  await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
  place.close();
});

let taken: BackupResult;

test(`keyturn backup stores ${MANY} secrets as one object, which holds none of them in clear`, async () => {
  const { code, result } = await cli.json<BackupResult>(['backup', bed.environment]);
  expect(code).toBe(0);
  taken = result;
  expect(result).toMatchObject({ secrets: MANY, leftOut: [{ secret: 'unused', why: 'does not exist' }] });
  expect(result.warnings).toEqual([expect.stringContaining('No lifecycle rule')]);
  expect(await place.objects()).toEqual([result.url]);
  bed.alsoScan('the object', Buffer.from(await place.read(result.url)).toString('latin1'));
});

test('keyturn backup --list shows it', async () => {
  const { code, stdout } = await cli.run(['backup', bed.environment, '--list']);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(taken.url) as string });
  const listed = await cli.json<{ backups: unknown[] }>(['backup', bed.environment, '--list']);
  expect(listed.result.backups).toEqual([{ time: taken.time, bytes: expect.any(Number) as number, url: taken.url }]);
});

test('keyturn restore asks nobody without a terminal, and changes nothing without --yes', async () => {
  await bed.rotate('many/secret-7');
  const changed = await bed.secrets.value('many/secret-7');
  const { code, stderr } = await cli.run(['restore', bed.environment, '--from', 'latest', '--secret', 'many/secret-7']);
  expect(code).toBe(3);
  expect(stderr).toContain('AWSCURRENT differs');
  expect(stderr).toContain('say so with --yes');
  expect(await bed.secrets.value('many/secret-7')).toBe(changed);
});

test('keyturn restore --dry-run says what differs, and nothing else', async () => {
  const { code, stdout } = await cli.run([
    'restore',
    bed.environment,
    '--from',
    taken.time,
    '--dry-run',
    '--secret',
    'many/secret-7',
    'many/secret-8',
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/many\/secret-7 +AWSCURRENT differs +would-be-restored\n/);
  expect(stdout).toMatch(/many\/secret-8 +same +same\n/);
});

test('keyturn restore names what neither the backup nor Secrets Manager holds, and ends with 1', async () => {
  const { code, stdout, stderr } = await cli.run(['restore', bed.environment, '--from', 'latest']);
  expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('say so with --yes') as string });
  expect(stdout + stderr).toMatch(
    /unused +not in the backup, and never created +left-out: not in the backup, and never created as far/,
  );
  const only = ['--secret', 'many/secret-8'];
  expect((await cli.run(['restore', bed.environment, '--from', 'latest', ...only])).code).toBe(0);
  await bed.secrets.create('lost-since', 'value-that-is-lost');
  await bed.declare({ 'lost-since': { type: 'app-secret' } });
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf('lost-since') }));
  const partial = await cli.json<BackupResult>(['backup', bed.environment]);
  expect(partial).toMatchObject({ code: 1, error: { type: 'BackupIncomplete' } });
  expect((partial.error as { details?: BackupResult }).details?.leftOut).toContainEqual({
    secret: 'lost-since',
    why: 'is scheduled for deletion and cannot be read',
    expected: true,
  });
  await bed.rotate('many/secret-7');
  const restored = await cli.json<RestoreResult>(['restore', bed.environment, '--from', taken.time, '--yes']);
  expect(restored).toMatchObject({ code: 1, error: { type: 'RestoreIncomplete' } });
  expect((restored.error as { details?: RestoreResult }).details).toMatchObject({ outcome: 'incomplete' });
  await bed.secretsManager.send(new RestoreSecretCommand({ SecretId: bed.secrets.idOf('lost-since') }));
  await bed.secrets.create('unused', 'value-that-is-there-again');
});

test(`keyturn restore --yes goes through all ${MANY}, and restores the one that differs`, async () => {
  await bed.rotate('many/secret-7');
  const { code, result } = await cli.json<RestoreResult>(['restore', bed.environment, '--from', taken.url, '--yes']);
  expect(code).toBe(0);
  expect(result.outcome).toBe('restored');
  expect(result.secrets).toHaveLength(MANY + 2);
  expect(result.secrets.filter(({ outcome }) => outcome !== 'same')).toEqual([
    expect.objectContaining({ secret: 'many/secret-7', difference: 'differs', outcome: 'restored' }),
    ...['unused', 'lost-since'].map((secret) => ({
      secret,
      difference: 'not-in-backup',
      outcome: 'left-out',
      message: 'the backup does not hold it; try an earlier one',
    })),
  ]);
  expect(await bed.secrets.value('many/secret-7')).toBe(`value-of-many/secret-7-${bed.environment}`);
});

test('a secret that is being changed is refused, the others are restored, and the exit code is 1', async () => {
  await bed.rotate('many/secret-1');
  await bed.rotate('many/secret-2');
  const point = { secretId: bed.secrets.idOf('many/secret-1'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const running = await bed.start('many/secret-1');
  await bed.pauses.reached(point);
  const only = ['--secret', 'many/secret-1', 'many/secret-2'];
  const { code, error } = await cli.json<RestoreResult>([
    'restore',
    bed.environment,
    '--from',
    'latest',
    '--yes',
    ...only,
  ]);
  await bed.pauses.goOn(point);
  await running.result();
  expect(code).toBe(1);
  expect(error).toMatchObject({
    type: 'RestoreIncomplete',
    details: { secrets: [{ outcome: 'refused' }, { outcome: 'restored' }] },
  });
});

test.each([
  [['backup', 'nowhere'], 2, 'UnknownSecretError'],
  [['restore', 'nowhere', '--from', 'latest', '--yes'], 2, 'RestoreRefused'],
  [['backup', 'ENV', '--secret', 'a'], 2, 'UsageError'],
  [['restore', 'ENV'], 2, 'UsageError'],
  [['restore', 'ENV', '--from', 'yesterday', '--yes'], 2, 'RestoreRefused'],
  [['restore', 'ENV', '--from', '20200101T000000.000Z', '--yes'], 3, 'RestoreRefused'],
])('keyturn %j ends with %d, %s', async (argv, exit, type) => {
  const { code, error } = await cli.json(argv.map((word) => (word === 'ENV' ? bed.environment : word)));
  expect({ code, type: error.type }).toEqual({ code: exit, type });
});
