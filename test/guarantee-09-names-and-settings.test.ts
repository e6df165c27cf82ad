import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { settingValue } from '../src/activities/postgres/roles';
import { startPostgres } from './lab/postgres';
import type { Postgres } from './lab/postgres';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

/** A server of its own: these names are the same in every run. */
let postgres: Postgres;
let bed: Testbed;

beforeAll(async () => {
  postgres = await startPostgres(() => undefined);
  bed = await openTestbed({}, postgres.superuserUrl);
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(async () => {
  await postgres.stop();
});

const NAMES: [what: string, name: string][] = [
  ['a single quote', "o'brien"],
  ['double quotes', 'the "app" user'],
  ['upper case and spaces', 'Shop Database User'],
  ['Unicode', 'käufer-日本語-🔑'],
  ['backslashes', 'back\\slash\\'],
  ['SQL', `x"; DROP ROLE postgres; --'`],
  ['a dollar sign and a percent sign', '$1 %s %I'],
  ['nothing but a keyword', 'user'],
];
const LONGEST = `${'ü'.repeat(31)}x`;

/** Rotates twice, so that both logins of alternating users have had their turn. */
async function expectRotates(secret: string): Promise<void> {
  for (const _turn of [1, 2]) {
    const { versions } = await bed.rotate(secret);
    expect(await bed.secrets.labels(secret)).toMatchObject({ current: versions.current });
    expect(await bed.databases.opens(secret)).toBe(true);
  }
}

test.each([...NAMES, ['63 bytes', LONGEST]])('a single user with %s in its name is rotated', async (what, name) => {
  const secret = `single/${what.replaceAll(' ', '-')}`;
  await bed.databases.singleUser(secret, { username: `${name}`, dbname: `${name} db`.slice(-40) });
  await expectRotates(secret);
  expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
});

test.each(NAMES)(
  'alternating users, group role and database with %s in their names are rotated',
  async (what, name) => {
    const secret = `both/${what.replaceAll(' ', '-')}`;
    const username = `${name} alt`;
    const groupRole = `${name} group`;
    await bed.databases.alternatingUsers(secret, { username, groupRole, dbname: `${name} data` });
    await expectRotates(secret);
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
    const members = await bed.databases.asSuperuser<{ login: string }>(
      `SELECT m.member::regrole::text, r.rolname AS login FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
      WHERE m.roleid = (SELECT oid FROM pg_roles WHERE rolname = ${escapeLiteral(groupRole)}) AND r.rolcanlogin`,
    );
    expect(members.map(({ login }) => login)).toEqual(expect.arrayContaining([username, `${username}_clone`]));
  },
);

test('alternating users whose second name would be longer than 63 bytes are refused and left as they are', async () => {
  const username = `${'ü'.repeat(30)}xyz`;
  const { secret } = await bed.databases.alternatingUsers('both/too-long', { username });
  const labels = await bed.secrets.labels(secret);
  const { message } = await failureOf(bed.rotate(secret));
  expect(message).toContain('the second login of');
  expect(message).toContain('would have a name of more than 63 bytes. It was left as it is.');
  expect(message).toContain('Name both logins in the catalog (logins).');
  expect(await bed.secrets.labels(secret)).toEqual(labels);
  expect(await bed.databases.opens(secret)).toBe(true);
});

test('alternating users of 63 bytes are rotated where the catalog names the second one', async () => {
  const username = `${'ö'.repeat(30)}xyz`;
  const { secret } = await bed.databases.alternatingUsers('both/named', {
    username,
    declaration: { logins: [username, 'the other one'] },
  });
  await expectRotates(secret);
});

/** Changes its own settings as AWSCURRENT's login, which any login may. */
async function chooseSettings(secret: string, settings: string[]): Promise<void> {
  const { dbname, username, password } = JSON.parse(await bed.secrets.value(secret)) as Record<string, string>;
  const client = new Client({ host: postgres.host, port: postgres.port, database: dbname, user: username, password });
  await client.connect();
  try {
    // The sessions of a second login start as the group role.
    await client.query('SET ROLE NONE');
    for (const setting of settings) await client.query(`ALTER ROLE CURRENT_USER ${setting}`);
  } finally {
    await client.end();
  }
}

/** A role's settings by database, without the one that makes its sessions start as the group role. */
async function settingsOf(role: string): Promise<string[]> {
  const rows = await bed.databases.asSuperuser<{ setting: string }>(
    `SELECT coalesce(d.datname, '*') || ': ' || unnest(s.setconfig) AS setting FROM pg_db_role_setting s
       JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
      WHERE r.rolname = ${escapeLiteral(role)}`,
  );
  return rows
    .map(({ setting }) => setting)
    .filter((setting) => !setting.includes(': role='))
    .sort();
}

const HOSTILE = [
  `x'; ALTER ROLE "model" SUPERUSER; --`,
  `a, b, 'c', "d", $$e$$`,
  `back\\slash', SUPERUSER \\'; --`,
  `"quoted", 'and not'`,
  `x' IN DATABASE postgres; CREATE ROLE intruder; --`,
];

test('the settings of the model login are taken over literally, and none of them runs anything', async () => {
  const dbname = `data "base", 'one'`;
  const { secret } = await bed.databases.alternatingUsers('settings', { username: 'model', dbname });
  const here = `IN DATABASE ${escapeIdentifier(dbname)}`;
  await bed.databases.asSuperuser('ALTER ROLE model CONNECTION LIMIT 7');
  await chooseSettings(secret, [
    `SET search_path TO "$user", 'we,ird', 'with "quotes"', 'o''brien', public`,
    `SET DateStyle TO 'ISO, DMY'`,
    `${here} SET work_mem TO '8MB'`,
    `${here} SET search_path TO ''`,
  ]);
  for (const [turn, name] of HOSTILE.entries()) {
    await chooseSettings(secret, [`SET application_name TO ${escapeLiteral(name)}`]);
    expect((await bed.rotate(secret)).warnings).toBeUndefined();
    const [model, other] = turn % 2 === 0 ? ['model', 'model_clone'] : ['model_clone', 'model'];
    expect(await settingsOf(other)).toEqual(await settingsOf(model));
    expect(await settingsOf(other)).toContain(`*: application_name=${name}`);
    expect(await settingsOf(other)).toHaveLength(5);
  }
  expect(await bed.databases.opens(secret)).toBe(true);
  const roles = await bed.databases.asSuperuser(
    `SELECT rolname, rolsuper, rolcreaterole, rolconnlimit FROM pg_roles
      WHERE rolname LIKE 'model%' OR rolname = 'intruder' ORDER BY rolname`,
  );
  expect(roles).toEqual([
    { rolname: 'model', rolsuper: false, rolcreaterole: false, rolconnlimit: 7 },
    { rolname: 'model_clone', rolsuper: false, rolcreaterole: false, rolconnlimit: 7 },
  ]);
});

test('a setting that the administrator may not set is left out and named', async () => {
  const { secret } = await bed.databases.alternatingUsers('superuser-setting', { username: 'logged' });
  await bed.databases.asSuperuser(`ALTER ROLE logged SET log_statement TO 'all'`);
  await bed.databases.asSuperuser(`ALTER ROLE logged SET lock_timeout TO '3s'`);
  const { warnings } = await bed.rotate(secret);
  expect(warnings).toEqual([
    expect.stringContaining('The administrator may not set log_statement for the other login.'),
  ]);
  expect(await settingsOf('logged_clone')).toEqual(['*: lock_timeout=3s']);
  expect(await bed.databases.opens(secret)).toBe(true);
});

test.each([
  ['a text', 'application_name', `it's, "x"`, `'it''s, "x"'`],
  ['a list that is one value to the server', 'DateStyle', 'ISO, DMY', `'ISO, DMY'`],
  ['a list of names', 'search_path', `"$user", public`, `'$user', 'public'`],
  ['a list with quotes', 'search_path', `"a""b", "c,d", "o'brien"`, `'a"b', 'c,d', 'o''brien'`],
  ['an empty list', 'search_path', `""`, `''`],
  ['nothing', 'search_path', '', `''`],
  ['a backslash', 'temp_tablespaces', '"a\\b"', ` E'a\\\\b'`],
  ['a list as no server keeps it', 'search_path', `x'; DROP ROLE y; --`, `''`],
])('a setting of %s becomes literals', (_what, name, value, sql) => {
  expect(settingValue(name, value)).toBe(sql);
});
