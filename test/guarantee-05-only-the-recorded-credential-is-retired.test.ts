import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Point } from './testbed/pauses';
import { situationOf } from './testbed/situation';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(() => bed.close());

const soon = { declaration: { gracePeriod: '1 second' } };

/** A login that a rotation has nothing to do with. @returns its name. */
async function createLogin(name: string, attributes = ''): Promise<string> {
  const login = `${bed.environment}_${name}`;
  await bed.databases.createRole(login, `LOGIN PASSWORD 'of ${name}' ${attributes}`);
  return login;
}

async function put(secret: string, login: Record<string, unknown>, label: string): Promise<string> {
  const current = JSON.parse(await bed.secrets.value(secret)) as Record<string, unknown>;
  const { VersionId = '' } = await bed.secretsManager.send(
    new PutSecretValueCommand({
      SecretId: bed.secrets.idOf(secret),
      SecretString: JSON.stringify({ ...current, ...login }),
      VersionStages: [label],
    }),
  );
  return VersionId;
}

test('older and newer logins of the same group role, and all other roles and secrets, are left as they are', async () => {
  const { secret, username, owner } = await bed.databases.alternatingUsers('orders', soon);
  const { secret: neighbour, username: neighbourLogin } = await bed.databases.alternatingUsers('neighbour', soon);
  const others = [
    owner,
    neighbourLogin,
    await createLogin('reports', `IN ROLE ${escapeIdentifier(owner)}`),
    await createLogin('stranger'),
  ];
  const kept = await put(secret, {}, 'KEEP');
  const keptText = await bed.secrets.valueOfVersion(secret, kept);
  const before = await situationOf(bed, neighbour, others);

  const first = await bed.rotate(secret);
  const second = await bed.rotate(secret);

  expect(await situationOf(bed, neighbour, others)).toEqual(before);
  expect(await bed.databases.opens(neighbour)).toBe(true);
  expect(await bed.secrets.value(secret, 'KEEP')).toBe(keptText);
  for (const { versions } of [first, second]) {
    expect(await bed.secrets.valueOfVersion(secret, versions.previous ?? '')).toContain(username);
  }
});

test('a login to which somebody moved AWSPREVIOUS meanwhile is not locked; the one that was in use before is', async () => {
  const { secret, owner } = await bed.databases.alternatingUsers('moved', soon);
  const reports = await createLogin('moved_reports', `IN ROLE ${escapeIdentifier(owner)}`);
  const { current: old = '' } = await bed.secrets.labels(secret);
  const point: Point = { secretId: bed.secrets.idOf(secret), step: 'waitForSessionsToEnd', when: 'before' };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  const versionId = await put(secret, { username: reports, password: 'of moved_reports' }, 'AWSPREVIOUS');
  await bed.pauses.goOn(point);
  await handle.result();

  expect(await bed.databases.opens(secret, { versionId })).toBe(true);
  expect(await bed.databases.opens(secret, { versionId: old })).toBe(false);
  expect(await bed.databases.opens(secret)).toBe(true);
});

test('a foreign login in a version that somebody labelled AWSPENDING is not touched', async () => {
  const { secret } = await bed.databases.singleUser('pending');
  const reports = await createLogin('pending_reports');
  const versionId = await put(secret, { username: reports, password: 'of pending_reports' }, 'AWSPENDING');
  await bed.rotate(secret);
  expect(await bed.databases.opens(secret, { versionId })).toBe(true);
  expect(await bed.databases.opens(secret)).toBe(true);
});

describe('a role with the name of the second login that is no member of the group role is left alone', () => {
  test.each([
    ['a login', 'LOGIN'],
    ['a locked login', 'NOLOGIN'],
    ['a superuser', 'LOGIN SUPERUSER'],
  ])('%s', async (name, attributes) => {
    const { secret, username } = await bed.databases.alternatingUsers(name.replaceAll(' ', '-'), soon);
    const clone = `${username}_clone`;
    await bed.databases.asSuperuser(
      `CREATE ROLE ${escapeIdentifier(clone)} ${attributes} CONNECTION LIMIT 3 PASSWORD ${escapeLiteral('of somebody else')}`,
    );
    const before = await situationOf(bed, secret, [username, clone]);
    expect(await failureOf(bed.rotate(secret))).toMatchObject({
      type: 'RotationRolledBack',
      details: {
        step: 'prepareLogin',
        cause: { type: 'LoginNotOurs', message: expect.stringContaining(`"${clone}" exists and is not a member`) },
      },
    });
    expect(await situationOf(bed, secret, [username, clone])).toEqual(before);
    expect(await bed.databases.opens(secret)).toBe(true);
  });
});
