import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import { Client as PgClient, escapeIdentifier, escapeLiteral } from 'pg';
import type { RotationInput, RotationResult } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { situationOf } from './testbed/situation';
import { createSubject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { arrived, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let dependent: TestDependent;

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '4 seconds', rollbackTimeout: '4 seconds' });
  dependent = await startDependent('shop');
  await bed.startWorker();
});
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

const json = async (secret: string, stage?: string) =>
  JSON.parse(await bed.secrets.value(secret, stage)) as Record<string, unknown>;

/** A session of the login of AWSCURRENT that stays open. */
async function openSession(secret: string): Promise<PgClient> {
  const { host, port, dbname, username, password } = (await json(secret)) as Record<string, string>;
  const client = new PgClient({ host, port: Number(port), database: dbname, user: username, password });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

describe('an application secret', () => {
  test('gets 64 characters of A-Za-z0-9!@#$%^&* with at least one of each class', async () => {
    await bed.secrets.create('jwt-secret', 'what somebody typed in by hand');
    await bed.declare({ 'jwt-secret': { type: 'app-secret' } });
    const { versions, ...result } = await bed.rotate('jwt-secret');
    expect(result).toMatchObject({ outcome: 'rotated', type: 'app-secret', requestedBy: 'tester' });
    const value = await bed.secrets.value('jwt-secret');
    expect(value).toMatch(/^[A-Za-z0-9!@#$%^&*]{64}$/);
    for (const characterClass of [/[A-Z]/, /[a-z]/, /[0-9]/, /[!@#$%^&*]/]) expect(value).toMatch(characterClass);
    expect(await bed.secrets.labels('jwt-secret')).toEqual(versions);
    expect(await bed.secrets.value('jwt-secret', 'AWSPREVIOUS')).toBe('what somebody typed in by hand');
  });

  test('gets the length and the alphabet that the catalog names, with at least one of each class', async () => {
    await bed.declare({ 'hex-key': { type: 'app-secret', length: 20, alphabet: 'A-F0-9' } });
    for (let turn = 0; turn < 3; turn += 1) {
      await bed.rotate('hex-key');
      const value = await bed.secrets.value('hex-key');
      expect(value).toMatch(/^(?=.*[A-F])(?=.*[0-9])[A-F0-9]{20}$/);
    }
  });

  test('is created when it is missing, with the description of the catalog', async () => {
    await bed.declare({ missing: { type: 'app-secret', description: 'Signs the sessions' } });
    const { versions, steps } = await bed.rotate('missing');
    expect(await bed.secrets.labels('missing')).toEqual({ current: versions.current });
    expect(versions.previous).toBeUndefined();
    expect(await bed.secrets.versionIds('missing')).toEqual([versions.current]);
    expect(steps).toContainEqual({
      name: 'createCandidate',
      summary: `create ${bed.secrets.idOf('missing')}, which does not exist yet`,
    });
    const created = await bed.secretsManager.send(new DescribeSecretCommand({ SecretId: bed.secrets.idOf('missing') }));
    expect(created.Description).toBe('Signs the sessions');
  });

  test('that is one field of JSON is created as JSON when it is missing', async () => {
    await bed.declare({ 'missing-field': { type: 'app-secret', field: 'signing-key' } });
    await bed.rotate('missing-field');
    expect(await json('missing-field')).toEqual({ 'signing-key': expect.stringMatching(/^\S{64}$/) });
  });

  test('that is one field of JSON keeps all other fields exactly as they were', async () => {
    const others = {
      issuer: 'https://shop.example.com/',
      rounds: 12,
      ratio: 0.30000000000000004,
      active: true,
      nothing: null,
      empty: '',
      nested: { list: [1, { deep: ['ä', '\u0000', '😀'] }], object: {} },
      large: 'x'.repeat(30_000),
      '': 'a field without a name',
      'a "quoted" name': '\\ back\nslash',
    };
    await bed.secrets.create('one-field', JSON.stringify({ before: 1, key: 'old-value-of-the-field', ...others }));
    await bed.declare({ 'one-field': { type: 'app-secret', field: 'key' } });
    await bed.rotate('one-field');
    const fields = await json('one-field');
    expect(fields).toEqual({ before: 1, key: expect.stringMatching(/^[A-Za-z0-9!@#$%^&*]{64}$/), ...others });
    expect(Object.keys(fields)).toEqual(['before', 'key', ...Object.keys(others)]);
  });

  test('is not rotated before its dependents were seen healthy', async () => {
    const asked = dependent.asked;
    await createSubject(bed, 'app-secret', 'delivered', { dependents: [dependent.declaration] });
    const { steps } = await bed.rotate('delivered');
    expect(dependent.asked).toBe(asked + 1);
    expect(steps.at(-1)).toEqual({ name: 'deliver', summary: 'deliver to shop and see them healthy' });
  });

  test('whose dependent becomes healthy only after a while is rotated', async () => {
    const slow = await startDependent('slow', '20 seconds');
    slow.answer(503);
    await createSubject(bed, 'app-secret', 'slow', { dependents: [slow.declaration] });
    const handle = await bed.start('slow');
    while (slow.asked < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    slow.answer(200);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    await slow.stop();
  });
});

test('first use adopts a secret that exists: nothing but its value changes, and what was found stays as AWSPREVIOUS', async () => {
  const text = JSON.stringify({ key: 'found-in-production', owner: 'team-shop' });
  const found = await bed.secrets.create('adopted', text, {
    Description: 'made long before Keyturn',
    KmsKeyId: 'alias/production',
    Tags: [{ Key: 'team', Value: 'shop' }],
  });
  await bed.declare({ adopted: { type: 'app-secret', field: 'key', description: 'what the catalog says' } });
  const before = await situationOf(bed, 'adopted');
  await bed.rotate('adopted');
  const after = await situationOf(bed, 'adopted');
  expect(after.about).toEqual(before.about);
  expect(after.labels.previous).toBe(found);
  expect(await bed.secrets.value('adopted', 'AWSPREVIOUS')).toBe(text);
  expect(await json('adopted')).toEqual({ key: expect.any(String), owner: 'team-shop' });
});

describe('a single-user database credential', () => {
  test('ends with a new password that opens the database and an old one that does not', async () => {
    const { secret } = await bed.databases.singleUser('database/app');
    const { versions } = await bed.rotate(secret);
    expect((await json(secret)).password).toMatch(/^[A-Za-z0-9._~-]{32}$/);
    expect(await bed.databases.opens(secret)).toBe(true);
    expect(await bed.databases.opens(secret, { versionId: versions.previous ?? '' })).toBe(false);
    expect(await bed.secrets.labels(secret)).toEqual(versions);
  });

  test('keeps every other field of its secret, and a port that is written as text', async () => {
    const fields = {
      port: String(bed.databases.port),
      engine: 'aurora-postgresql',
      dbInstanceIdentifier: 'prod-1',
      masterarn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:main',
      pool: { min: 1, max: 20 },
    };
    const { secret } = await bed.databases.singleUser('database/extra', { fields });
    const { password: _old, ...before } = await json(secret);
    await bed.rotate(secret);
    const { password: _new, ...after } = await json(secret);
    expect(after).toEqual(before);
    expect(after).toMatchObject(fields);
    expect(await bed.databases.opens(secret)).toBe(true);
  });

  test('is altered as the administrator where the catalog names one, because the login may not alter itself', async () => {
    const { username } = await bed.databases.singleUser('database/managed', {
      declaration: { adminSecret: 'database/manager-admin' },
    });
    const admin = await bed.databases.alternatingUsers('database/manager');
    const adminRole = `${admin.username}_admin`;
    await bed.databases.asSuperuser(
      `GRANT ${escapeIdentifier(username)} TO ${escapeIdentifier(adminRole)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
    );
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} SET default_transaction_read_only TO on`);
    const { steps } = await bed.rotate('database/managed');
    expect(steps).toContainEqual({
      name: 'setPassword',
      summary: `set the login's password to the candidate's, as the administrator in ${bed.secrets.idOf('database/manager-admin')}`,
    });
    expect(await bed.databases.opens('database/managed')).toBe(true);
    expect(await bed.databases.opens('database/managed', 'AWSPREVIOUS')).toBe(false);
  });

  test('is rotated for a login whose name has quotes, spaces, upper case and Unicode in it', async () => {
    const username = `O'Brien "the" App \\ ünï 😀 ${bed.environment}`;
    const { secret } = await bed.databases.singleUser('database/odd-name', { username });
    await bed.rotate(secret);
    expect(await bed.databases.opens(secret)).toBe(true);
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
  });

  test('is not rotated before its dependents were seen healthy', async () => {
    const asked = dependent.asked;
    const declaration = { dependents: [dependent.declaration] };
    const { secret } = await bed.databases.singleUser('database/delivered', { declaration });
    await bed.rotate(secret);
    expect(dependent.asked).toBe(asked + 1);
  });
});

describe('an alternating-users database credential', () => {
  async function role(name: string): Promise<Record<string, unknown>> {
    const [found] = await bed.databases.asSuperuser<Record<string, unknown>>(
      `SELECT rolcanlogin, rolconnlimit, rolcreaterole, rolsuper FROM pg_roles WHERE rolname = ${escapeLiteral(name)}`,
    );
    return found ?? {};
  }

  /** Runs statements as the login of AWSCURRENT. */
  async function asApplication<T extends object>(secret: string, statement: string): Promise<T[]> {
    const { host, port, dbname, username, password } = (await json(secret)) as Record<string, string>;
    const client = new PgClient({ host, port: Number(port), database: dbname, user: username, password });
    await client.connect();
    try {
      return (await client.query<T>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  test('has its second login created on first use, after the model of the first one and the group role', async () => {
    const { secret, username, owner } = await bed.databases.alternatingUsers('database/orders');
    const login = escapeIdentifier(username);
    await bed.databases.asSuperuser(`ALTER ROLE ${login} CONNECTION LIMIT 7`);
    await bed.databases.asSuperuser(`ALTER ROLE ${login} SET statement_timeout TO '7s'`);
    await bed.databases.asSuperuser(`ALTER ROLE ${login} SET search_path TO "$user", "odd ""schema""", public`);
    await bed.databases.asSuperuser(`ALTER ROLE ${login} IN DATABASE ${login} SET application_name TO 'it''s'`);
    await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username: `${username}_clone` });
    expect(await role(`${username}_clone`)).toEqual({
      rolcanlogin: true,
      rolconnlimit: 7,
      rolcreaterole: false,
      rolsuper: false,
    });
    const shown = async (setting: string) => (await asApplication(secret, `SHOW ${setting}`))[0];
    expect(await shown('statement_timeout')).toEqual({ statement_timeout: '7s' });
    expect(await shown('search_path')).toEqual({ search_path: '"$user", "odd ""schema""", public' });
    expect(await shown('application_name')).toEqual({ application_name: "it's" });
    expect(await asApplication(secret, 'SELECT current_user AS works_as, session_user AS logged_in_as')).toEqual([
      { works_as: owner, logged_in_as: `${username}_clone` },
    ]);
  });

  test('leaves to the group role what either login creates, so that the other one can use it', async () => {
    const { secret, owner } = await bed.databases.alternatingUsers('database/shared');
    await bed.rotate(secret);
    await asApplication(secret, 'CREATE TABLE public.made_by_the_second AS SELECT 1 AS one');
    await bed.rotate(secret);
    expect(await asApplication(secret, 'SELECT one FROM public.made_by_the_second')).toEqual([{ one: 1 }]);
    await asApplication(secret, 'CREATE TABLE public.made_by_the_first AS SELECT 1 AS one');
    expect(
      await asApplication(
        secret,
        `SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE tablename LIKE 'made_by_%'`,
      ),
    ).toEqual([{ owner }]);
  });

  test('takes turns: the second rotation goes back to the first login, with a new password', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/turns');
    const first = await bed.rotate(secret);
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
    const second = await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username });
    expect(await bed.databases.opens(secret)).toBe(true);
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
    expect(await bed.databases.opens(secret, { versionId: first.versions.previous ?? '' })).toBe(false);
    const third = await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username: `${username}_clone` });
    expect(third.versions.previous).toBe(second.versions.current);
    expect(await bed.databases.opens(secret, { versionId: second.versions.previous ?? '' })).toBe(false);
  });

  test('takes turns between the two logins that the catalog names', async () => {
    const other = `${bed.environment}_blue_and_green`;
    const { secret, username, owner } = await bed.databases.alternatingUsers('database/named');
    await bed.declare({
      [secret]: {
        type: 'database',
        strategy: 'alternating-users',
        sslmode: 'disable',
        groupRole: owner,
        adminSecret: `${secret}-admin`,
        logins: [username, other],
      },
    });
    await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username: other });
    await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username });
    await bed.databases.asSuperuser(`DROP ROLE ${escapeIdentifier(other)}`);
  });

  test('without a grace period leaves the old login as it is until the next rotation', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/until-next');
    const { steps } = await bed.rotate(secret);
    expect(steps.map(({ name }) => name)).toEqual([
      'loadPlan',
      'inspectSecret',
      'confirmCurrentLogin',
      'createCandidate',
      'prepareLogin',
      'loginWithCandidate',
      'promote',
      'verifyAsApplication',
    ]);
    expect(await role(username)).toMatchObject({ rolcanlogin: true });
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
  });

  test('locks the old login at the end of its grace period, once its sessions are gone, and unlocks it for its next turn', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/grace', {
      declaration: { gracePeriod: '1 second', stepTimeout: '20 seconds' },
    });
    const session = await openSession(secret);
    const handle = await bed.start(secret);
    await inPhase(handle, 'grace-period');
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
    await inPhase(handle, 'retiring');
    expect(await role(username)).toMatchObject({ rolcanlogin: true });
    await session.end();
    expect(((await handle.result()) as RotationResult).warnings).toBeUndefined();
    expect(await role(username)).toMatchObject({ rolcanlogin: false });
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
    await bed.rotate(secret);
    expect(await json(secret)).toMatchObject({ username });
    expect(await bed.databases.opens(secret)).toBe(true);
    expect(await role(`${username}_clone`)).toMatchObject({ rolcanlogin: false });
  });

  test('does not lock the old login while it has open sessions, and says so', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/busy', {
      declaration: { gracePeriod: '1 second' },
    });
    const sessions = await Promise.all([openSession(secret), openSession(secret)]);
    const { outcome, warnings } = await bed.rotate(secret);
    expect({ outcome, warnings }).toEqual({
      outcome: 'rotated',
      warnings: [
        `The old login was not locked: login "${username}" on ${bed.databases.host}:${bed.databases.port} still has 2 open sessions. Its password changes with the next rotation.`,
      ],
    });
    expect(await role(username)).toMatchObject({ rolcanlogin: true });
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(true);
    for (const session of sessions) {
      await session.query('SELECT 1');
      await session.end();
    }
  });

  test('in an emergency locks the old login at once and ends its sessions, whatever the grace period', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/leaked', {
      declaration: { gracePeriod: '7 days' },
    });
    await bed.databases.asSuperuser(`GRANT pg_signal_backend TO ${escapeIdentifier(`${username}_admin`)}`);
    const session = await openSession(secret);
    const { outcome, warnings } = await bed.rotate(secret, { emergency: true, reason: 'seen on a paste site' });
    expect({ outcome, warnings }).toEqual({ outcome: 'rotated', warnings: undefined });
    expect(await role(username)).toMatchObject({ rolcanlogin: false });
    expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await bed.databases.opens(secret)).toBe(true);
    await session.end().catch(() => undefined);
  });

  test('in an emergency says how many sessions of the old login the administrator may not end', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/leaked-too');
    const session = await openSession(secret);
    const { warnings } = await bed.rotate(secret, { emergency: true });
    expect(warnings).toEqual([
      '1 session of the locked login could not be ended: the administrator may not (it needs pg_signal_backend). End them by hand: SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = …',
    ]);
    expect(await role(username)).toMatchObject({ rolcanlogin: false });
    await session.query('SELECT 1');
    await session.end();
  });

  test('in an emergency ends the sessions that an earlier rotation left open, before anybody uses that login again', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/leaked-before', {
      declaration: { gracePeriod: '0 s', stepTimeout: '4 seconds' },
    });
    await bed.databases.asSuperuser(`GRANT pg_signal_backend TO ${escapeIdentifier(`${username}_admin`)}`);
    const session = await openSession(secret);
    const { warnings: left } = await bed.rotate(secret);
    expect(left).toEqual([expect.stringContaining('The old login was not locked')]);
    const { outcome, warnings, steps } = await bed.rotate(secret, { emergency: true });
    expect({ outcome, warnings }).toEqual({ outcome: 'rotated', warnings: undefined });
    expect(await json(secret)).toMatchObject({ username });
    await expect(session.query('SELECT 1')).rejects.toThrow();
    const names = steps.map(({ name }) => name);
    expect(names.indexOf('endEarlierSessions')).toBe(names.indexOf('loginWithCandidate') - 1);
    expect(await bed.databases.opens(secret)).toBe(true);
    await session.end().catch(() => undefined);
  });

  test('in an emergency says how many earlier sessions of the login that is taken into use cannot be ended', async () => {
    const { secret, username } = await bed.databases.alternatingUsers('database/leaked-before-too');
    const session = await openSession(secret);
    await bed.rotate(secret);
    const { outcome, warnings } = await bed.rotate(secret, { emergency: true });
    expect(outcome).toBe('rotated');
    expect(warnings).toEqual([
      expect.stringMatching(/^1 session of the login that is now in use could not be ended: .*pg_signal_backend/),
    ]);
    expect(await json(secret)).toMatchObject({ username });
    await session.query('SELECT 1');
    await session.end();
  });
});

describe('a single-user credential that leaked', () => {
  test('has the sessions of its login ended by itself, once the old password is refused', async () => {
    const { secret } = await bed.databases.singleUser('database/leaked-alone');
    const session = await openSession(secret);
    const { outcome, warnings, steps } = await bed.rotate(secret, { emergency: true });
    expect({ outcome, warnings }).toEqual({ outcome: 'rotated', warnings: undefined });
    expect(steps.slice(-2).map(({ name }) => name)).toEqual(['proveOldPasswordRefused', 'endEarlierSessions']);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await bed.databases.opens(secret)).toBe(true);
    await session.end().catch(() => undefined);
  });

  test('is rotated, with a warning, when its administrator may not end its sessions', async () => {
    const { secret, username } = await bed.databases.singleUser('database/leaked-with-admin', {
      declaration: { adminSecret: 'database/leaked-to-admin-admin' },
    });
    const { username: model } = await bed.databases.alternatingUsers('database/leaked-to-admin');
    await bed.databases.asSuperuser(
      `GRANT ${escapeIdentifier(username)} TO ${escapeIdentifier(`${model}_admin`)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
    );
    const session = await openSession(secret);
    const { outcome, warnings } = await bed.rotate(secret, { emergency: true });
    expect(outcome).toBe('rotated');
    expect(warnings).toEqual([
      expect.stringMatching(/^1 session of the login that is now in use could not be ended: .*pg_signal_backend/),
    ]);
    await session.query('SELECT 1');
    await session.end();
  });
});

describe('the front door rotate', () => {
  let doors = 0;
  const open = (secret: string, input: Partial<RotationInput> = {}) =>
    bed.client.workflow.start('rotate', {
      taskQueue: bed.taskQueue,
      workflowId: `by-hand/${bed.environment}/${++doors}`,
      args: [{ environment: bed.environment, secret, requestedBy: 'scheduler', ...input }],
    });
  const rotationOf = (secret: string) => bed.client.workflow.getHandle(`rotation/${bed.secrets.idOf(secret)}`);

  async function standing(secret: string, step: string) {
    const point = { secretId: bed.secrets.idOf(secret), step, when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const door = await open(secret);
    await bed.pauses.reached(point);
    return { door, rotation: rotationOf(secret), goOn: () => bed.pauses.goOn(point) };
  }

  test.each([
    ['app-secret', 'rotateAppSecret'],
    ['single-user', 'rotateDatabaseCredential'],
    ['alternating-users', 'rotateDatabaseCredential'],
  ] as const)('rotates a secret of type %s with %s, under its own ID, and passes the result on', async (kind, type) => {
    const { secret } = await createSubject(bed, kind, `front-door/${kind}`);
    const result = await (await open(secret, { reason: 'weekly' })).result();
    const rotation = rotationOf(secret);
    expect(result).toEqual(await rotation.result());
    expect(result).toMatchObject({ outcome: 'rotated', secret, requestedBy: 'scheduler', reason: 'weekly' });
    const description = await rotation.describe();
    expect(description.type).toBe(type);
    expect(await description.staticSummary()).toBe(`Rotate ${bed.secrets.idOf(secret)}`);
  });

  test('passes a dry run on', async () => {
    const { secret, ...subject } = await createSubject(bed, 'single-user', 'front-door/dry');
    const before = await subject.situation();
    expect(await (await open(secret, { dryRun: true })).result()).toMatchObject({ outcome: 'dry-run' });
    expect(await subject.situation()).toEqual(before);
  });

  test("passes a rotation's failure on as it is: refused, or rolled back with what was undone", async () => {
    await bed.secrets.create('front-door/not-json', 'no JSON at all');
    const refused = { type: 'database', strategy: 'single-user' } as const;
    await bed.declare({ 'front-door/not-json': refused });
    expect(await failureOf((await open('front-door/not-json')).result())).toMatchObject({
      type: 'RotationRefused',
      details: { step: 'confirmCurrentLogin', cause: { type: 'SecretUnusable' } },
    });
    const sick = { http: { name: 'sick', healthUrl: `${dependent.origin}/`, expectStatus: 204, timeout: '1 second' } };
    await createSubject(bed, 'app-secret', 'front-door/sick', { dependents: [sick] });
    expect(await failureOf((await open('front-door/sick')).result())).toMatchObject({
      type: 'RollbackIncomplete',
      details: { step: 'deliver', cause: { type: 'DependentUnhealthy' }, undone: expect.any(Array) },
    });
  });

  test('refuses a secret that the catalog does not name', async () => {
    expect(await failureOf((await open('nowhere')).result())).toMatchObject({
      type: 'RotationRefused',
      details: { step: 'loadPlan', cause: { type: 'UnknownSecret' } },
    });
  });

  test('refuses a secret that is being rotated, with what runs since when and how to follow or stop it', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'front-door/busy');
    const { door, rotation, goOn } = await standing(secret, 'promote');
    const { startTime } = await rotation.describe();
    const id = bed.secrets.idOf(secret);
    expect(await failureOf((await open(secret)).result())).toEqual({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: rotateAppSecret runs since ${startTime.toISOString()} by scheduler, now at promote. Follow it with keyturn status ${id}, or stop it with keyturn abort ${id}.`,
      details: { step: 'start', cause: { type: 'AlreadyRunning', message: expect.any(String) } },
    });
    await goOn();
    expect(await door.result()).toMatchObject({ outcome: 'rotated' });
  });

  test('refuses to run under the ID of the rotation itself', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'front-door/own-id');
    const handle = await bed.start(secret, {}, 'rotate');
    const id = bed.secrets.idOf(secret);
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: rotate starts the rotation under the workflow ID rotation/${id}, and so cannot run under it itself; nothing was touched. Start it under any other ID.`,
    });
  });

  test('that is terminated leaves the rotation running to its end', async () => {
    const { secret } = await createSubject(bed, 'single-user', 'front-door/terminated');
    const { door, rotation, goOn } = await standing(secret, 'setPassword');
    await door.terminate('a test');
    await goOn();
    expect(await rotation.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.databases.opens(secret)).toBe(true);
  });

  test('that is cancelled aborts the rotation, and returns its result', async () => {
    const { secret, ...subject } = await createSubject(bed, 'single-user', 'front-door/cancelled');
    // So that its verifier is one that Keyturn made, and setting it back gives the same.
    await bed.rotate(secret);
    const before = await subject.situation();
    const { door, rotation, goOn } = await standing(secret, 'promote');
    await door.cancel();
    await arrived(rotation, 'cancel');
    await goOn();
    expect(await door.result()).toMatchObject({ outcome: 'aborted', versions: { current: before.labels.current } });
    expect(await statusOf(rotation)).toMatchObject({ outcome: 'aborted' });
    expect(await subject.situation()).toEqual(before);
  });
});
