import { CreateSecretCommand, DeleteSecretCommand, RotateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { inLanes } from '../src/rotation/in-lanes';
import { situationOf } from './testbed/situation';
import type { Situation } from './testbed/situation';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

/** What the operator sees of everything that can be wrong; the texts are written out, because they are the product at 3 a.m. */

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '4 seconds', rollbackTimeout: '3 seconds' });
  await bed.startWorker();
  await inLanes(CASES, 8, async (one) => {
    ended.set(one, await run(one).catch((error: Error) => error));
  });
});
afterAll(() => bed.close());

type FailureType = 'RotationRefused' | 'RotationRolledBack';

/** What is wrong with a secret, and what the operator is told. */
interface Arranged {
  type: FailureType;
  step: string;
  cause: string;
  /** The cause's message, in full. */
  message: string;
  /** Logins that must stay as they are. */
  roles?: string[];
  /** Whether AWSCURRENT opens the database, before and after. */
  opens?: boolean;
}

interface Case {
  what: string;
  arrange(secret: string, id: string): Promise<Arranged>;
}

interface Ended {
  arranged: Arranged;
  id: string;
  failure: { type: string; message: string; details: unknown };
  before?: Situation;
  after?: Situation;
  opens?: boolean;
}

const ended = new Map<Case, Ended | Error>();

async function run({ what, arrange }: Case): Promise<Ended> {
  const secret = what.replace(/[^A-Za-z0-9]+/g, '-');
  const id = bed.secrets.idOf(secret);
  const arranged = await arrange(secret, id);
  const look = () => situationOf(bed, secret, arranged.roles).catch(() => undefined);
  const before = await look();
  const failure = await failureOf(bed.rotate(secret));
  const after = await look();
  return {
    arranged,
    id,
    failure,
    before,
    after,
    opens: arranged.opens === undefined ? undefined : await bed.databases.opens(secret),
  };
}

const refusedAt = (step: string, cause: string, message: string, more: Partial<Arranged> = {}): Arranged => ({
  type: 'RotationRefused',
  step,
  cause,
  message,
  ...more,
});
const rolledBackAt = (step: string, cause: string, message: string, more: Partial<Arranged> = {}): Arranged => ({
  ...refusedAt(step, cause, message, more),
  type: 'RotationRolledBack',
});

const server = () => `PostgreSQL at ${bed.databases.host}:${bed.databases.port}`;
const loginOf = (username: string) => `login "${username}" on ${bed.databases.host}:${bed.databases.port}`;
const sql = (statement: string) => bed.databases.asSuperuser(statement);
const databaseDeclaration = { type: 'database', strategy: 'single-user', sslmode: 'disable' } as const;

const EXPECTED = 'Expected {engine, host, port, dbname, username, password}. It was left as it is.';

/** A database secret with any text. */
const stored = (
  what: string,
  text: string | undefined,
  problem: (current: string, id: string) => string,
  cause = 'SecretUnusable',
): Case => ({
  what,
  async arrange(secret, id) {
    const current = await bed.secrets.create(
      secret,
      text ?? '',
      text === undefined ? { SecretBinary: Buffer.from('binary-value') } : {},
    );
    await bed.declare({ [secret]: databaseDeclaration });
    return refusedAt('confirmCurrentLogin', cause, problem(current, id));
  },
});

const VALID = {
  engine: 'postgres',
  host: '127.0.0.1',
  port: 1,
  dbname: 'shop',
  username: 'shop',
  password: 'a-password-of-no-use',
};
const without = (field: keyof typeof VALID) => JSON.stringify({ ...VALID, [field]: undefined });
const having = (field: string, value: unknown) => JSON.stringify({ ...VALID, [field]: value });
const malformed = (problem: string) => (current: string, id: string) =>
  `version ${current} of ${id} is not a database secret: ${problem}. ${EXPECTED}`;

const ENGINES = 'postgres, postgresql, aurora-postgresql';
const SSL_MODES = 'disable, require, verify-ca, verify-full';

const DATABASE_TEXTS: Case[] = [
  stored(
    'text that is not JSON',
    'not JSON at all',
    (current, id) => `version ${current} of ${id} is not JSON. It was left as it is.`,
  ),
  stored(
    'a JSON array',
    '["shop", "old-password"]',
    (current, id) => `version ${current} of ${id} is not a JSON object. It was left as it is.`,
  ),
  stored(
    'a JSON text',
    '"shop-password"',
    (current, id) => `version ${current} of ${id} is not a JSON object. It was left as it is.`,
  ),
  stored(
    'a binary database secret',
    undefined,
    (current, id) =>
      `${id} holds a binary value in version ${current}; Keyturn rotates text only. It was left as it is. Store the value as SecretString to have it rotated.`,
  ),
  stored('no engine', without('engine'), malformed('the field engine is missing or not a text')),
  stored('no host', without('host'), malformed('the field host is missing or not a text')),
  stored('no username', without('username'), malformed('the field username is missing or not a text')),
  stored('a password that is null', having('password', null), malformed('the field password is missing or not a text')),
  stored('an empty password', having('password', ''), malformed('the field password is missing or not a text')),
  stored(
    'a username that is a number',
    having('username', 7),
    malformed('the field username is missing or not a text'),
  ),
  stored('the engine of another database', having('engine', 'mysql'), malformed(`its engine is none of ${ENGINES}`)),
  stored('a port that is none', having('port', '5432a'), malformed('the field port is not a port number')),
  stored('a port that is too large', having('port', 65_536), malformed('the field port is not a port number')),
  stored(
    'an sslmode that may drop TLS',
    having('sslmode', 'prefer'),
    malformed(`its sslmode is none of ${SSL_MODES} (prefer and allow drop TLS silently)`),
  ),
  stored(
    'a number that cannot be kept exactly',
    `{"id": 12345678901234567890, ${JSON.stringify(VALID).slice(1)}`,
    (current, id) =>
      `version ${current} of ${id} holds a number in the field id that cannot be kept exactly. It was left as it is. Store the number as text.`,
  ),
];

const DATABASES: Case[] = [
  {
    what: 'a password that was changed by hand',
    async arrange(secret, id) {
      const { username } = await bed.databases.singleUser(secret);
      await sql(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD 'changed-by-hand'`);
      return refusedAt(
        'confirmCurrentLogin',
        'CurrentCredentialRefused',
        `AWSCURRENT of ${id} no longer opens its target: ${loginOf(username)} is refused (a wrong password or no such role). There is no AWSPREVIOUS. Nothing was changed. Store the password that works, or set the role's password to the stored one, then rotate again.`,
        { roles: [username], opens: false },
      );
    },
  },
  {
    what: 'a password that was set back by hand',
    async arrange(secret, id) {
      const { username } = await bed.databases.singleUser(secret);
      await bed.rotate(secret);
      const { password } = JSON.parse(await bed.secrets.value(secret, 'AWSPREVIOUS')) as { password: string };
      await sql(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD ${escapeLiteral(password)}`);
      return refusedAt(
        'confirmCurrentLogin',
        'CurrentCredentialRefused',
        `AWSCURRENT of ${id} no longer opens its target: ${loginOf(username)} is refused (a wrong password or no such role). AWSPREVIOUS opens it. Nothing was changed. Store the password that works, or set the role's password to the stored one, then rotate again.`,
        { roles: [username], opens: false },
      );
    },
  },
  {
    what: 'a user that does not exist',
    async arrange(secret, id) {
      const { secret: other } = await bed.databases.singleUser(`${secret}-other`);
      const text = JSON.parse(await bed.secrets.value(other)) as object;
      await bed.secrets.create(secret, JSON.stringify({ ...text, username: 'nobody_knows_me' }));
      await bed.declare({ [secret]: databaseDeclaration });
      return refusedAt(
        'confirmCurrentLogin',
        'CurrentCredentialRefused',
        `AWSCURRENT of ${id} no longer opens its target: ${loginOf('nobody_knows_me')} is refused (a wrong password or no such role). There is no AWSPREVIOUS. Nothing was changed. Store the password that works, or set the role's password to the stored one, then rotate again.`,
        { roles: ['nobody_knows_me'] },
      );
    },
  },
  {
    what: 'a user that may not log in',
    async arrange(secret, id) {
      const { username } = await bed.databases.singleUser(secret);
      await sql(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
      return refusedAt(
        'confirmCurrentLogin',
        'CurrentCredentialRefused',
        `AWSCURRENT of ${id} no longer opens its target: ${loginOf(username)} may not log in. There is no AWSPREVIOUS. Nothing was changed. Let the role log in (ALTER ROLE … LOGIN), or store a login that may, then rotate again.`,
        { roles: [username] },
      );
    },
  },
  {
    what: 'a database that does not exist',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret, { fields: { dbname: 'no_such_database' } });
      return refusedAt(
        'confirmCurrentLogin',
        'SecretUnusable',
        `${server()} has no database "no_such_database". Correct dbname in the secret, or create the database.`,
        { roles: [username] },
      );
    },
  },
  {
    what: 'a database that the user may not enter',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret);
      await sql(`REVOKE CONNECT ON DATABASE ${escapeIdentifier(username)} FROM PUBLIC, ${escapeIdentifier(username)}`);
      return refusedAt(
        'confirmCurrentLogin',
        'PermissionDenied',
        `${server()} lets "${username}" in, but not into the database "${username}". Grant it CONNECT, or correct dbname in the secret.`,
        { roles: [username] },
      );
    },
  },
  {
    what: 'a server that is down',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret, { fields: { port: 1 } });
      return refusedAt(
        'confirmCurrentLogin',
        'TargetUnavailable',
        'PostgreSQL at 127.0.0.1:1 cannot be reached (ECONNREFUSED).',
        { roles: [username] },
      );
    },
  },
  {
    what: 'a host that has no address',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret, { fields: { host: 'db.invalid' } });
      return refusedAt(
        'confirmCurrentLogin',
        'TargetUnavailable',
        `PostgreSQL at db.invalid:${bed.databases.port} cannot be reached (ENOTFOUND).`,
        { roles: [username] },
      );
    },
  },
  {
    what: 'a server without the TLS that is asked for',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret, { fields: { sslmode: 'verify-full' } });
      return refusedAt(
        'confirmCurrentLogin',
        'TlsRefused',
        `${server()} offers no TLS, and sslmode verify-full asks for it. Turn TLS on at the server; or, on a network that you trust, say sslmode: disable in the catalog.`,
        { roles: [username], opens: true },
      );
    },
  },
  {
    what: 'a login that has all its connections open',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret);
      await sql(`ALTER ROLE ${escapeIdentifier(username)} CONNECTION LIMIT 0`);
      return refusedAt(
        'confirmCurrentLogin',
        'TargetBusy',
        `${server()} has no connection left for "${username}"; it is tried again. Raise the role's CONNECTION LIMIT or the server's max_connections, or end idle sessions.`,
        { roles: [username] },
      );
    },
  },
];

const ADMINISTRATORS: Case[] = [
  {
    what: 'an administrator whose secret does not exist',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret, { declaration: { adminSecret: 'no-admin' } });
      return refusedAt(
        'confirmCurrentLogin',
        'SecretUnusable',
        `${bed.secrets.idOf('no-admin')} has no version labelled AWSCURRENT; nothing was changed.`,
        { roles: [username], opens: true },
      );
    },
  },
  {
    what: 'a wrong administrator password',
    async arrange(secret, id) {
      const { username } = await bed.databases.alternatingUsers(secret);
      const admin = `${username}_admin`;
      await sql(`ALTER ROLE ${escapeIdentifier(admin)} PASSWORD 'changed-by-hand'`);
      return refusedAt(
        'confirmCurrentLogin',
        'AdministratorRefused',
        `the administrator in ${id}-admin (${loginOf(admin)}) is refused. Correct that secret first.`,
        { roles: [username, `${username}_clone`], opens: true },
      );
    },
  },
  {
    what: 'an administrator without CREATEROLE',
    async arrange(secret) {
      const { username } = await bed.databases.alternatingUsers(secret);
      const admin = `${username}_admin`;
      await sql(`ALTER ROLE ${escapeIdentifier(admin)} NOCREATEROLE`);
      return rolledBackAt(
        'prepareLogin',
        'PermissionDenied',
        `${server()} does not let "${admin}" create the second login. Name an adminSecret in the catalog whose login has CREATEROLE and ADMIN OPTION on the roles concerned.`,
        { roles: [username, `${username}_clone`], opens: true },
      );
    },
  },
  {
    what: 'an administrator who may not alter the login',
    async arrange(secret) {
      const { username: other } = await bed.databases.alternatingUsers(`${secret}-other`);
      const { username } = await bed.databases.singleUser(secret, {
        declaration: { adminSecret: `${secret}-other-admin` },
      });
      return rolledBackAt(
        'setPassword',
        'PermissionDenied',
        `${server()} does not let "${other}_admin" alter the password of the role. Name an adminSecret in the catalog whose login has CREATEROLE and ADMIN OPTION on the roles concerned.`,
        { roles: [username], opens: true },
      );
    },
  },
  {
    what: 'a login that may not alter itself',
    async arrange(secret) {
      const { username } = await bed.databases.singleUser(secret);
      await sql(`ALTER ROLE ${escapeIdentifier(username)} SET default_transaction_read_only TO on`);
      return rolledBackAt(
        'setPassword',
        'PermissionDenied',
        `${server()} lets "${username}" only read, so it cannot alter the password of the role (25006). If it is a standby, name the primary in the secret; otherwise name an adminSecret in the catalog.`,
        { roles: [username], opens: true },
      );
    },
  },
  {
    what: 'a group role that does not exist',
    async arrange(secret) {
      const { username } = await bed.databases.alternatingUsers(secret, {
        declaration: { groupRole: 'no_such_group' },
      });
      return rolledBackAt(
        'prepareLogin',
        'SecretUnusable',
        'there is no role "no_such_group". Create it (NOLOGIN, owner of everything), or correct groupRole in the catalog.',
        { roles: [username, `${username}_clone`], opens: true },
      );
    },
  },
  {
    what: 'a second login that belongs to somebody else',
    async arrange(secret) {
      const { username, owner } = await bed.databases.alternatingUsers(secret);
      const clone = `${username}_clone`;
      await sql(`CREATE ROLE ${escapeIdentifier(clone)} LOGIN PASSWORD 'of-somebody-else'`);
      return rolledBackAt(
        'prepareLogin',
        'LoginNotOurs',
        `the role "${clone}" exists and is not a member of "${owner}"; it was left as it is. Grant it the membership, or name another login in the catalog (logins).`,
        { roles: [username, clone], opens: true },
      );
    },
  },
  {
    what: 'a login that is none of the two that the catalog names',
    async arrange(secret, id) {
      const { username } = await bed.databases.alternatingUsers(secret, { declaration: { logins: ['blue', 'green'] } });
      return rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `the login in ${id} is none of the two that the catalog names (blue, green). It was left as it is.`,
        { roles: [username], opens: true },
      );
    },
  },
  {
    what: 'a second login whose name would be too long',
    async arrange(secret, id) {
      const username = `${bed.environment}_${'x'.repeat(50)}`;
      await bed.databases.alternatingUsers(secret, { username });
      return rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `the second login of ${id} would have a name of more than 63 bytes. It was left as it is. Name both logins in the catalog (logins).`,
        { roles: [username], opens: true },
      );
    },
  },
];

/** An application secret with any value. */
const application = (
  what: string,
  more: Record<string, unknown>,
  create: (secret: string) => Promise<string>,
  arranged: (current: string, id: string) => Arranged,
): Case => ({
  what,
  async arrange(secret, id) {
    const current = await create(secret);
    await bed.declare({ [secret]: { type: 'app-secret', ...more } });
    return arranged(current, id);
  },
});
const text = (value: string) => (secret: string) => bed.secrets.create(secret, value);
const field = { field: 'key' };

const APPLICATIONS: Case[] = [
  application(
    'a binary application secret',
    {},
    (secret) => bed.secrets.create(secret, '', { SecretBinary: Buffer.from('binary-value') }),
    (current, id) =>
      rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `${id} holds a binary value in version ${current}; Keyturn rotates text only. It was left as it is. Store the value as SecretString to have it rotated.`,
      ),
  ),
  application('a field of text that is not JSON', field, text('key=old-value-of-it'), (_current, id) =>
    rolledBackAt(
      'createCandidate',
      'SecretUnusable',
      `the current version of ${id} is not JSON. It was left as it is.`,
    ),
  ),
  application('a field of a JSON array', field, text('["key", "old-value-of-it"]'), (_current, id) =>
    rolledBackAt(
      'createCandidate',
      'SecretUnusable',
      `the current version of ${id} is not a JSON object. It was left as it is.`,
    ),
  ),
  application('a field that is missing', field, text('{"Key": "old-value-of-it"}'), (_current, id) =>
    rolledBackAt(
      'createCandidate',
      'SecretUnusable',
      `the current version of ${id} has no text in the field key. It was left as it is. Correct the field in the catalog or in the secret.`,
    ),
  ),
  application('a field that is an object', field, text('{"key": {"id": "old-value-of-it"}}'), (_current, id) =>
    rolledBackAt(
      'createCandidate',
      'SecretUnusable',
      `the current version of ${id} has no text in the field key. It was left as it is. Correct the field in the catalog or in the secret.`,
    ),
  ),
  application(
    'a field named like what every object has',
    { field: 'constructor' },
    text('{"key": "old-value-of-it"}'),
    (_current, id) =>
      rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `the current version of ${id} has no text in the field constructor. It was left as it is. Correct the field in the catalog or in the secret.`,
      ),
  ),
  application(
    'a field beside a number that cannot be kept exactly',
    field,
    text('{"key": "old-value-of-it", "nested": [{"id": 9007199254740993}]}'),
    (_current, id) =>
      rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `the current version of ${id} holds a number in the field nested that cannot be kept exactly. It was left as it is. Store the number as text.`,
      ),
  ),
  application(
    'a secret of 64 KiB whose field would grow',
    field,
    text(JSON.stringify({ key: 'short', pad: 'x'.repeat(65_536 - '{"key":"short","pad":""}'.length) })),
    (_current, id) =>
      rolledBackAt(
        'createCandidate',
        'SecretUnusable',
        `the new version of ${id} would have 65595 bytes; Secrets Manager holds 65536 at most. It was left as it is. Shorten the secret's other fields or the value's length in the catalog.`,
      ),
  ),
  {
    what: 'a secret that is scheduled for deletion',
    async arrange(secret, id) {
      await bed.secrets.create(secret, 'about-to-be-deleted');
      await bed.declare({ [secret]: { type: 'app-secret' } });
      await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: id }));
      return refusedAt(
        'inspectSecret',
        'SecretUnusable',
        `${id} is scheduled for deletion; nothing was changed. To keep it: aws secretsmanager restore-secret --secret-id ${id}`,
      );
    },
  },
  {
    what: 'a secret that AWS rotates itself',
    async arrange(secret, id) {
      await bed.secrets.create(secret, 'rotated-by-a-lambda');
      await bed.declare({ [secret]: { type: 'app-secret' } });
      await bed.secretsManager.send(
        new RotateSecretCommand({
          SecretId: id,
          RotationRules: { AutomaticallyAfterDays: 30 },
          RotateImmediately: false,
        }),
      );
      return refusedAt(
        'inspectSecret',
        'ForeignRotation',
        `AWS rotates ${id} itself; two rotators would undo each other's work. Nothing was changed. To hand it to Keyturn: aws secretsmanager cancel-rotate-secret --secret-id ${id}`,
      );
    },
  },
  {
    what: 'a database secret that has no version yet',
    async arrange(secret, id) {
      await bed.secretsManager.send(new CreateSecretCommand({ Name: id }));
      await bed.declare({ [secret]: databaseDeclaration });
      return refusedAt(
        'inspectSecret',
        'SecretUnusable',
        `${id} has no version labelled AWSCURRENT; store a credential there that works.`,
      );
    },
  },
  {
    what: 'a database secret that does not exist',
    async arrange(secret, id) {
      await bed.declare({ [secret]: databaseDeclaration });
      return refusedAt(
        'inspectSecret',
        'SecretUnusable',
        `${id} does not exist in Secrets Manager; store a credential there that works.`,
      );
    },
  },
];

const CASES: Case[] = [...DATABASE_TEXTS, ...DATABASES, ...ADMINISTRATORS, ...APPLICATIONS];

test.each(CASES)('$what: the operator is told what is wrong, and nothing is changed', (one) => {
  const end = ended.get(one);
  if (!end || end instanceof Error) throw end ?? new Error('it did not run');
  const { arranged, id, failure, before, after, opens } = end;
  const { type, step, cause, message } = arranged;
  expect(failure).toMatchObject({
    type,
    message:
      type === 'RotationRefused'
        ? `${id} was not rotated, and nothing was changed: ${message}`
        : `${id} was not rotated, and what was done is undone. ${step} failed: ${message}`,
    details: { step, cause: { type: cause, message } },
  });
  expect(after).toEqual(before);
  expect(opens).toBe(arranged.opens);
});

test('a secret of 64 KiB is rotated when its new version still fits', async () => {
  const value = 'k'.repeat(64);
  const pad = 'x'.repeat(65_536 - JSON.stringify({ key: value, pad: '' }).length);
  await bed.secrets.create('just-fits', JSON.stringify({ key: value, pad }));
  await bed.declare({ 'just-fits': { type: 'app-secret', field: 'key' } });
  await bed.rotate('just-fits');
  const rotated = await bed.secrets.value('just-fits');
  expect(rotated).toHaveLength(65_536);
  expect(JSON.parse(rotated)).toMatchObject({ pad });
});

test('an application secret that is empty gets its first value', async () => {
  await bed.secretsManager.send(
    new CreateSecretCommand({ Name: bed.secrets.idOf('empty'), Description: 'to be filled' }),
  );
  await bed.declare({ empty: { type: 'app-secret' } });
  const { versions } = await bed.rotate('empty');
  expect(await bed.secrets.labels('empty')).toEqual({ current: versions.current });
  expect(await bed.secrets.value('empty')).toHaveLength(64);
});

test('an application secret may itself be 64 KiB long', async () => {
  await bed.declare({ longest: { type: 'app-secret', length: 65_536 } });
  await bed.rotate('longest');
  expect(await bed.secrets.value('longest')).toHaveLength(65_536);
});

describe('a catalog', () => {
  const path = () => bed.env['KEYTURN_CATALOG'];

  test('that does not name the secret refuses it, and names similar ones', async () => {
    await bed.declare({ 'signing-key': { type: 'app-secret' } });
    const id = bed.secrets.idOf('singing-key');
    expect(await failureOf(bed.rotate('singing-key'))).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: ${path()} declares no secret "singing-key" in the environment ${bed.environment}; did you mean signing-key?`,
      details: { step: 'loadPlan', cause: { type: 'UnknownSecret' } },
    });
  });

  test('that does not name the environment refuses it', async () => {
    const handle = await bed.client.workflow.start('rotateAppSecret', {
      taskQueue: bed.taskQueue,
      workflowId: `rotation/nowhere-${bed.environment}/key`,
      args: [{ environment: `nowhere-${bed.environment}`, secret: 'key' }],
    });
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RotationRefused',
      message: `nowhere-${bed.environment}/key was not rotated, and nothing was changed: ${path()} declares no environment "nowhere-${bed.environment}"; it has ${bed.environment}`,
    });
  });

  test.each([
    ['database', 'rotateAppSecret', 'rotateDatabaseCredential'],
    ['app-secret', 'rotateDatabaseCredential', 'rotateAppSecret'],
  ] as const)('that says %s refuses %s, and names %s', async (type, wrong, right) => {
    const secret = `typed/${type}`;
    await bed.declare({ [secret]: { type, ...(type === 'database' && { strategy: 'single-user' }) } });
    const id = bed.secrets.idOf(secret);
    expect(await failureOf(bed.rotate(secret, {}, wrong))).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: the catalog says that ${id} is of type ${type}; start ${right} for it, or rotate, which finds out by itself.`,
      details: { step: 'loadPlan', cause: { type: 'WrongSecretType' } },
    });
  });

  test('that has a mistake refuses every rotation with the place of it, stops no worker, and works again once it is corrected', async () => {
    const secret = 'after-a-mistake';
    await bed.secrets.create(secret, 'value-before-the-mistake');
    await bed.declare({ [secret]: { type: 'app-secret' } });
    const before = await situationOf(bed, secret);
    await bed.writeCatalog(
      `environments:\n  ${bed.environment}:\n    secrets:\n      ${secret}:\n        type: app-secrt\n`,
    );
    const id = bed.secrets.idOf(secret);
    expect(await failureOf(bed.rotate(secret))).toMatchObject({
      type: 'RotationRefused',
      message: [
        `${id} was not rotated, and nothing was changed: The catalog has a problem:`,
        `${path()}:5:15 environments.${bed.environment}.secrets.${secret}.type: "app-secrt" is none of app-secret, database, api-key; did you mean app-secret?`,
        'Rotations that already run are not affected: each keeps the plan that it started with. New ones are refused until the file is corrected.',
      ].join('\n'),
      details: { step: 'loadPlan', cause: { type: 'CatalogInvalid' } },
    });
    await bed.writeCatalog('{ this is: [not YAML');
    expect(await failureOf(bed.rotate(secret))).toMatchObject({ details: { cause: { type: 'CatalogInvalid' } } });
    expect(await situationOf(bed, secret)).toEqual(before);
    await bed.declare({});
    expect(await bed.rotate(secret)).toMatchObject({ outcome: 'rotated' });
  });
});

describe('an input', () => {
  let starts = 0;
  const WORKFLOWS = ['rotateAppSecret', 'rotateDatabaseCredential', 'rollbackSecret', 'rotate'] as const;

  const EXAMPLE = 'nothing was started. Expected for example {"environment": "dev", "secret": "database/app"}.';
  const named = { environment: 'dev', secret: 'app' };

  test.each<[string, unknown[], string, string]>([
    ['that is missing', [], 'the secret', 'the input is not one JSON object'],
    ['null', [null], 'the secret', 'the input is not one JSON object'],
    ['that is text', ['dev/app'], 'the secret', 'the input is not one JSON object'],
    ['that is a number', [7], 'the secret', 'the input is not one JSON object'],
    ['that is a list', [['dev', 'app']], 'the secret', 'the input is not one JSON object'],
    ['without an environment', [{ secret: 'app' }], 'the secret', "the input's field environment is missing"],
    ['without a secret', [{ environment: 'dev' }], 'the secret', "the input's field secret is missing"],
    [
      'with an empty secret',
      [{ ...named, secret: '' }],
      'dev/',
      "the input's field secret is not a text of reasonable length",
    ],
    [
      'whose secret is a list',
      [{ ...named, secret: ['app'] }],
      'the secret',
      "the input's field secret is not a text of reasonable length",
    ],
    ['with a field that nobody knows', [{ ...named, force: true }], 'dev/app', 'the input has an unknown field force'],
    [
      'whose reason is a number',
      [{ ...named, reason: 7 }],
      'dev/app',
      "the input's field reason is not a text of reasonable length",
    ],
    [
      'whose reason is null',
      [{ ...named, reason: null }],
      'dev/app',
      "the input's field reason is not a text of reasonable length",
    ],
    [
      'whose reason is a novel',
      [{ ...named, reason: 'x'.repeat(1_001) }],
      'dev/app',
      "the input's field reason is not a text of reasonable length",
    ],
    ['whose dryRun is text', [{ ...named, dryRun: 'yes' }], 'dev/app', "the input's field dryRun is not true or false"],
    [
      'whose emergency is a number',
      [{ ...named, emergency: 1 }],
      'dev/app',
      "the input's field emergency is not true or false",
    ],
    [
      'whose gracePeriod is a number',
      [{ ...named, gracePeriod: 7 }],
      'dev/app',
      "the input's field gracePeriod is not a text of reasonable length",
    ],
    [
      'whose gracePeriod is no duration',
      [{ ...named, gracePeriod: 'a while' }],
      'dev/app',
      "the input's gracePeriod is not a duration such as '7 days'",
    ],
    [
      'whose gracePeriod is negative',
      [{ ...named, gracePeriod: '-1 day' }],
      'dev/app',
      "the input's gracePeriod is not a duration such as '7 days'",
    ],
    [
      'whose gracePeriod is longer than a year',
      [{ ...named, gracePeriod: '366 days' }],
      'dev/app',
      "the input's gracePeriod is longer than 365 days",
    ],
  ])('%s is refused by every workflow at once', async (_name, args, id, why) => {
    for (const type of WORKFLOWS) {
      const handle = await bed.client.workflow.start(type, {
        taskQueue: bed.taskQueue,
        workflowId: `input/${bed.environment}/${++starts}`,
        args,
      });
      expect(await failureOf(handle.result())).toEqual({
        type: 'RotationRefused',
        message: `${id} was not rotated, and nothing was changed: ${why}; ${EXAMPLE}`,
        details: { step: '', cause: { type: 'BadInput', message: `${why}; ${EXAMPLE}` } },
      });
    }
  });

  test.each([
    [
      { type: 'database', strategy: 'single-user' } as const,
      'a single-user credential has no grace period, because its one password is changed in place; leave gracePeriod out.',
    ],
    [{ type: 'app-secret' } as const, 'an app-secret has no grace period; leave gracePeriod out.'],
  ])('with a gracePeriod is refused for %o', async (declaration, why) => {
    const secret = `no-grace/${declaration.type}`;
    await bed.declare({ [secret]: declaration });
    const id = bed.secrets.idOf(secret);
    expect(await failureOf(bed.rotate(secret, { gracePeriod: '7 days' }))).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: ${why}`,
      details: { cause: { type: 'BadInput' } },
    });
  });
});
