import { DeleteSecretCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
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
  for (const name of await names()) {
    await bed.secretsManager.send(
      new DeleteSecretCommand({ SecretId: bed.secrets.idOf(name), ForceDeleteWithoutRecovery: true }),
    );
  }
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
  expect(planned.secrets.map(({ outcome, difference }) => `${outcome} ${difference}`)).toEqual(
    planned.secrets.map(() => 'would-be-restored missing'),
  );
});

test('every secret is there again, with the value that it had', async () => {
  expect(restored).toMatchObject({ outcome: 'restored', from: backup.url });
  expect(restored.secrets.filter(({ outcome }) => outcome !== 'restored')).toEqual([]);
  expect(await values()).toEqual(before);
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

test('a second restore finds those that did not change since to be the same', async () => {
  const { secrets } = await restore(bed);
  const outcomes = new Map(secrets.map(({ secret, outcome }) => [secret, outcome]));
  expect(outcomes.get('lost/app-secret')).toBe('same');
  expect(outcomes.get('with-admin')).toBe('same');
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
