import { randomBytes } from 'node:crypto';
import { DeleteSecretCommand, ListSecretsCommand, RestoreSecretCommand } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { BackupResult, RestoreResult } from '../src/rotation/backup';
import { backUp, createBackupPlace, restore } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { createSubject, KINDS } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { auditOf } from './testbed/watching';

let bed: Testbed;
let place: BackupPlace;
let dependent: TestDependent;
let subjects: Subject[];
let before: Map<string, string>;
let backup: BackupResult;
let planned: RestoreResult;
let restored: RestoreResult;

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed(place.policy);
  dependent = await startDependent('shop', '5 seconds');
  await bed.startWorker();
  const withDependent = { dependents: [dependent.declaration] };
  subjects = [
    ...(await Promise.all(KINDS.map((kind) => createSubject(bed, kind, `lost/${kind}`, withDependent)))),
    await createSubject(bed, 'alternating-users', 'rotated', {}),
  ];
  const { username } = await bed.databases.singleUser('with-admin', {
    declaration: { adminSecret: 'lost/alternating-users-admin' },
  });
  const admin = JSON.parse(await bed.secrets.value('lost/alternating-users-admin')) as { username: string };
  await bed.databases.asSuperuser(
    `GRANT ${escapeIdentifier(username)} TO ${escapeIdentifier(admin.username)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
  );
  await bed.rotate('rotated');
  backup = await backUp(bed);
  before = await values();
  await bed.declare({ 'made-since': { type: 'app-secret' } });
  await bed.rotate('made-since');

  // Passwords change after the backup, and then everything is lost.
  for (const name of ['lost/alternating-users', 'rotated', 'with-admin']) {
    const login = JSON.parse(before.get(name) ?? '') as { username: string };
    await bed.databases.asSuperuser(
      `ALTER ROLE ${escapeIdentifier(login.username)} PASSWORD ${escapeLiteral(`changed-since-${name}`)}`,
    );
  }
  await loseEverything();
  // The shop works when it can read all of its secrets, and not before.
  dependent.answer(async () => ((await values()).size >= before.size ? 200 : 503));
  planned = await restore(bed, { dryRun: true });
  expect((await values()).size).toBe(0);
  restored = await restore(bed);
}, 180_000);
afterAll(async () => {
  await dependent.stop();
  await bed.close();
  place.close();
});

async function names(): Promise<string[]> {
  const { SecretList = [] } = await bed.secretsManager.send(
    new ListSecretsCommand({ Filters: [{ Key: 'name', Values: [`${bed.environment}/`] }], MaxResults: 100 }),
  );
  return SecretList.map(({ Name = '' }) => Name.slice(bed.environment.length + 1));
}

async function values(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of await names()) found.set(name, await bed.secrets.value(name));
  return found;
}

async function loseEverything(): Promise<void> {
  for (const name of await names()) await lose(name);
}

async function lose(name: string): Promise<void> {
  await bed.secretsManager.send(
    new DeleteSecretCommand({ SecretId: bed.secrets.idOf(name), ForceDeleteWithoutRecovery: true }),
  );
}

test('the backup names its object by environment and time, and says what it left out', () => {
  expect(backup.url).toMatch(
    new RegExp(`^s3://${place.bucket}/secret-backups/${bed.environment}/\\d{8}T\\d{6}\\.\\d{3}Z\\.json\\.encrypted$`),
  );
  expect(backup.secrets).toBe(before.size);
  expect(backup.leftOut).toEqual([{ secret: 'unused', why: 'does not exist' }]);
});

test('a dry run says what would be restored, and touches nothing', () => {
  expect(planned.outcome).toBe('dry-run');
  const held = planned.secrets.filter(({ difference }) => difference !== 'not-in-backup');
  expect(held).toHaveLength(before.size);
  expect(held.map(({ outcome, difference }) => `${outcome} ${difference}`)).toEqual(
    held.map(() => 'would-be-restored missing'),
  );
});

test('every secret is there again, with the value that it had', async () => {
  expect(restored.from).toMatch(new RegExp(`^${backup.url}\\?versionId=.`));
  expect(planned.from).toBe(restored.from);
  const held = restored.secrets.filter(({ difference }) => difference !== 'not-in-backup');
  expect(held.filter(({ outcome }) => outcome !== 'restored')).toEqual([]);
  expect(await values()).toEqual(before);
});

const leftOut = { difference: 'not-in-backup', outcome: 'left-out' };

test('a secret that was made after the backup and is lost is named, and makes the restore incomplete', () => {
  expect(restored.outcome).toBe('incomplete');
  expect(restored.secrets.find(({ secret }) => secret === 'made-since')).toEqual({
    secret: 'made-since',
    ...leftOut,
    message: 'the backup does not hold it; try an earlier one',
    lost: true,
  });
});

test('a declared secret that was never created is named as such', () => {
  expect(restored.secrets.find(({ secret }) => secret === 'unused')).toEqual({
    secret: 'unused',
    ...leftOut,
    message: 'not in the backup, and never created as far as the audit log knows: there is nothing to restore',
    neverCreated: true,
  });
});

test.each(KINDS)('the login or key of a secret of type %s is let in again', async (kind) => {
  for (const subject of subjects.filter((one) => one.kind === kind)) expect(await subject.opens()).toBe(true);
});

test('a login whose password only the administrator can set is let in again', async () => {
  expect(await bed.databases.opens('with-admin')).toBe(true);
});

test('dependents that need several secrets are seen healthy, because they come last', () => {
  expect(dependent.asked).toBeGreaterThanOrEqual(KINDS.length);
});

test('restored secrets can be rotated', async () => {
  expect(await bed.rotate('lost/single-user')).toMatchObject({ outcome: 'rotated' });
  expect(await bed.rotate('rotated')).toMatchObject({ outcome: 'rotated' });
});

test('a second restore finds those that did not change since to be the same, and delivers them again', async () => {
  const { asked } = dependent;
  const again = await restore(bed, { dryRun: true, secrets: ['lost/app-secret', 'with-admin'] });
  expect(again.secrets.map(({ outcome }) => outcome)).toEqual(['would-be-delivered', 'same']);
  expect(dependent.asked).toBe(asked);
  const { secrets } = await restore(bed);
  expect(dependent.asked).toBeGreaterThan(asked);
  const outcomes = new Map(secrets.map(({ secret, outcome }) => [secret, outcome]));
  expect(outcomes.get('lost/app-secret')).toBe('same');
  expect(outcomes.get('with-admin')).toBe('same');
});

test('a restore is complete although a declared secret was never created', async () => {
  await bed.rotate('made-since');
  const { outcome, secrets } = await restore(bed);
  expect(outcome).toBe('restored');
  expect(secrets.filter(({ difference }) => difference === 'not-in-backup')).toMatchObject([
    { secret: 'unused', outcome: 'left-out', neverCreated: true },
    { secret: 'made-since', outcome: 'left-out' },
  ]);
});

test('a secret that existed when the backup was taken, and could not be backed up, is lost when it is gone', async () => {
  await bed.declare({ binary: { type: 'app-secret' } });
  await bed.secrets.create('binary', '', { SecretBinary: randomBytes(16) });
  const { url, leftOut: unreadable } = await backUp(bed);
  expect(unreadable).toContainEqual({ secret: 'binary', why: 'is binary or empty', expected: true });
  await lose('binary');
  const { outcome, secrets } = await restore(bed, { from: url, dryRun: true });
  expect(outcome).toBe('dry-run');
  expect(secrets.find(({ secret }) => secret === 'binary')).toMatchObject({ ...leftOut, lost: true });
});

test('a secret made by hand that was to be deleted when the backup was taken is lost, also when Secrets Manager has forgotten it', async () => {
  const name = 'made-by-hand';
  await bed.declare({ [name]: { type: 'app-secret' } });
  await bed.secrets.create(name, randomBytes(16).toString('hex'));
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf(name), RecoveryWindowInDays: 7 }));
  const { url, leftOut: waiting } = await backUp(bed);
  const why = 'is scheduled for deletion and cannot be read';
  expect(waiting).toContainEqual({ secret: name, why, expected: true });
  for (const from of [backup.url, url]) {
    const { secrets } = await restore(bed, { from, dryRun: true });
    expect(secrets.find(({ secret }) => secret === name)).toMatchObject({ ...leftOut, lost: true });
  }
  await bed.secretsManager.send(new RestoreSecretCommand({ SecretId: bed.secrets.idOf(name) }));
  await lose(name);
  const { secrets } = await restore(bed, { from: url, dryRun: true });
  expect(secrets.find(({ secret }) => secret === name)).toMatchObject({ ...leftOut, lost: true });
});

test('a restore whose delivery failed is completed by another one', async () => {
  await bed.rotate('lost/app-secret');
  dependent.answer(503);
  const only = { secrets: ['lost/app-secret'] };
  expect(await restore(bed, only)).toMatchObject({
    outcome: 'incomplete',
    secrets: [{ difference: 'differs', outcome: 'not-delivered' }],
  });
  expect(await restore(bed, only)).toMatchObject({
    outcome: 'incomplete',
    secrets: [{ difference: 'same', outcome: 'not-delivered' }],
  });
  dependent.answer(200);
  expect(await restore(bed, only)).toMatchObject({
    outcome: 'restored',
    secrets: [{ difference: 'same', outcome: 'same' }],
  });
});

test('a refusal is told in the report in few words, so that thousands of them fit into it', async () => {
  const { username } = JSON.parse(await bed.secrets.value('lost/single-user')) as { username: string };
  await bed.databases.asSuperuser(
    `ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${escapeLiteral('changed-by-somebody-else')}`,
  );
  const { outcome, secrets } = await restore(bed, { from: backup.url, secrets: ['lost/single-user'] });
  expect(outcome).toBe('incomplete');
  expect(secrets).toEqual([expect.objectContaining({ outcome: 'refused' })]);
  expect(secrets[0]?.message).toMatch(/^.{299}…$/);
});

test('the audit log says who restored what', async () => {
  const records = await auditOf(bed.secrets.idOf('with-admin'));
  expect(records.filter(({ what, who }) => what === 'stageFromBackup' && who === 'tester')).not.toEqual([]);
});

test('no object in the bucket holds a value', async () => {
  for (const url of await place.objects()) {
    bed.alsoScan(url, Buffer.from(await place.read(url)).toString('latin1'));
  }
});
