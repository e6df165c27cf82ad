import { DeleteSecretCommand, RotateSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { Check } from '../src/client/doctor/check';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { freePort } from './lab/ports';
import { createCli } from './testbed/cli-process';
import type { Cli, CliEnd } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { checksOf } from './testbed/doctor-checks';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let cli: Cli;
let sick: TestDependent;
/** Stands in front of AWS and denies one secret. */
let proxy: FaultProxy;
let nowhere: string;
let checks: Check[];
let forPeople: CliEnd;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  sick = await startDependent('till');
  nowhere = `127.0.0.1:${await freePort()}`;
  proxy = await startFaultProxy(Number(new URL(process.env.AWS_ENDPOINT_URL ?? '').port));
  proxy.answerWith(
    (request) => request.includes('GetSecretValue') && request.includes(id('denied')),
    awsErrorResponse('AccessDeniedException', 'User is not authorized to perform that'),
    Infinity,
  );
  await bed.startWorker();
  await bed.databases.alternatingUsers('in-order');
  for (const { cause } of AILMENTS) await cause();
  const env = { AWS_ENDPOINT_URL: `http://127.0.0.1:${proxy.port}` };
  checks = await checksOf(cli, env);
  forPeople = await cli.run(['doctor'], env);
});
afterAll(async () => {
  await cli.stop();
  await proxy.stop();
  await sick.stop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);

/** A secret, how it comes to be wrong, and what the doctor says of it. */
interface Ailment {
  secret: string;
  /** The check that finds it; that of the secret itself when absent. */
  check?: (secretId: string) => string;
  cause(): Promise<unknown>;
  found: RegExp;
  /** What to do, which where it is not given here is part of what was found. */
  todo?: RegExp;
}

const database = (secretId: string) => `database of ${secretId}`;
const admin = (secretId: string) => `admin of ${secretId}`;
const singleUser = { type: 'database', strategy: 'single-user', sslmode: 'disable' } as const;
async function stored(secret: string, text: string, declaration: object = singleUser): Promise<void> {
  await bed.secrets.create(secret, text);
  await bed.declare({ [secret]: { type: 'app-secret', ...declaration } });
}

/** A database whose login is then changed behind Keyturn's back. */
async function single(secret: string, statement: (login: string) => string): Promise<void> {
  const { username } = await bed.databases.singleUser(secret);
  await bed.databases.asSuperuser(statement(`"${username}"`));
}

async function alternating(
  secret: string,
  statement: (roles: { login: string; admin: string; group: string }) => string,
  declaration = {},
): Promise<void> {
  const { username, owner } = await bed.databases.alternatingUsers(secret, { declaration });
  const roles = { login: `"${username}"`, admin: `"${username}_admin"`, group: `"${owner}"` };
  await bed.databases.asSuperuser(statement(roles));
}

const SHAPE = /^Store a value of that shape, or correct how the catalog declares the secret\.$/;

const AILMENTS: Ailment[] = [
  {
    secret: 'missing',
    cause: () => bed.declare({ missing: singleUser }),
    found: /^does not exist$/,
    todo: /create-secret --name \S+\/missing --secret-string file:/,
  },
  {
    secret: 'binary',
    cause: async () => {
      await bed.secrets.create('binary', '', { SecretBinary: Buffer.from('binary-canary-value') });
      await bed.declare({ binary: { type: 'app-secret' } });
    },
    found: /binary holds a binary value in version .* Store the value as SecretString/,
  },
  {
    secret: 'not-json',
    cause: () => stored('not-json', 'canary-that-is-no-json'),
    found: /is not JSON\./,
    todo: SHAPE,
  },
  {
    secret: 'no-fields',
    cause: () => stored('no-fields', '["canary-in-a-list"]', { field: 'value' }),
    found: /is not a JSON object\./,
    todo: SHAPE,
  },
  {
    secret: 'no-username',
    cause: () => stored('no-username', JSON.stringify({ engine: 'postgres', password: 'canary-password', host: 'h' })),
    found: /the field username is missing or not a text\. Expected \{engine, host, port, /,
    todo: SHAPE,
  },
  {
    secret: 'no-postgres',
    cause: () => stored('no-postgres', JSON.stringify({ engine: 'mysql', password: 'canary-password', host: 'h' })),
    found: /its engine is none of postgres/,
    todo: SHAPE,
  },
  {
    secret: 'may-drop-tls',
    cause: () => bed.databases.singleUser('may-drop-tls', { fields: { sslmode: 'prefer' } }),
    found: /its sslmode is none of disable, require, .*drop TLS silently/,
    todo: SHAPE,
  },
  {
    secret: 'foreign',
    cause: async () => {
      await stored('foreign', 'canary-of-a-foreign-rotation', {});
      const rules = { AutomaticallyAfterDays: 30 };
      const command = new RotateSecretCommand({ SecretId: id('foreign'), RotationRules: rules });
      await bed.secretsManager.send(command);
    },
    found: /^AWS rotates \S+\/foreign itself; .* aws secretsmanager cancel-rotate-secret --secret-id \S+\/foreign$/,
  },
  {
    secret: 'deleted',
    cause: async () => {
      await stored('deleted', 'canary-of-a-deleted-secret', {});
      await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: id('deleted'), RecoveryWindowInDays: 7 }));
    },
    found: /is scheduled for deletion; .* aws secretsmanager restore-secret --secret-id \S+\/deleted/,
  },
  {
    secret: 'denied',
    cause: () => stored('denied', 'canary-that-is-denied', {}),
    found: /may not call secretsmanager:GetSecretValue on \S+\/denied \(AccessDeniedException\)\. Grant it to /,
  },
  {
    secret: 'refused',
    check: database,
    cause: () => single('refused', (login) => `ALTER ROLE ${login} PASSWORD 'canary-of-somebody-else'`),
    found: /^"\S+_refused" on 127\.0\.0\.1:\d+ is refused: wrong password or no such role$/,
    todo: /^Store the password that works in \S+\/refused, or set the role's password to the stored one\.$/,
  },
  {
    secret: 'locked',
    check: database,
    cause: () => single('locked', (login) => `ALTER ROLE ${login} NOLOGIN`),
    found: /^"\S+_locked" on \S+ may not log in$/,
    todo: /^ALTER ROLE … LOGIN, or store another login in \S+\/locked\.$/,
  },
  {
    secret: 'unreachable',
    check: database,
    cause: () => bed.databases.singleUser('unreachable', { fields: { port: Number(nowhere.split(':')[1]) } }),
    found: /^PostgreSQL at 127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)\.$/,
    todo: /^Check that the server is up, host and port in \S+\/unreachable, and the network /,
  },
  {
    secret: 'no-tls',
    check: database,
    cause: () => bed.databases.singleUser('no-tls', { fields: { sslmode: 'verify-full' } }),
    found: /offers no TLS, and sslmode verify-full asks for it\. Turn TLS on at the server; or, .* sslmode: disable/,
  },
  {
    secret: 'no-such-db',
    check: database,
    cause: () => bed.databases.singleUser('no-such-db', { fields: { dbname: 'nowhere' } }),
    found: /has no database "nowhere"\. Correct dbname in the secret, or create the database\./,
  },
  {
    secret: 'weak-admin',
    check: admin,
    cause: () => alternating('weak-admin', ({ admin }) => `ALTER ROLE ${admin} NOCREATEROLE`),
    found: /weak-admin_admin" \(\S+\) logs in, but may not alter roles$/,
    todo: /^ALTER ROLE "\S+_weak-admin_admin" CREATEROLE$/,
  },
  {
    secret: 'refused-admin',
    check: admin,
    cause: () => alternating('refused-admin', ({ admin }) => `ALTER ROLE ${admin} PASSWORD 'canary-of-somebody'`),
    found: /^"\S+_refused-admin_admin" on \S+ is refused: /,
    todo: /^Store the password that works in \S+\/refused-admin-admin, /,
  },
  {
    secret: 'no-admin',
    check: admin,
    cause: () => alternating('no-admin', () => 'SELECT', { adminSecret: 'nobody' }),
    found: /\S+\/nobody has no version labelled AWSCURRENT/,
    todo: /^Correct \S+\/nobody, or name another adminSecret in the catalog\.$/,
  },
  {
    secret: 'login-not-granted',
    check: admin,
    cause: () => alternating('login-not-granted', ({ login, admin }) => `REVOKE ${login} FROM ${admin}`),
    found: /logs in, but may not alter "\S+_login-not-granted"$/,
    todo: /^GRANT "\S+_login-not-granted" TO "\S+_admin" WITH ADMIN OPTION$/,
  },
  {
    secret: 'group-not-granted',
    check: admin,
    cause: () => alternating('group-not-granted', ({ group, admin }) => `REVOKE ${group} FROM ${admin}`),
    found: /logs in, but may not grant "\S+_group-not-granted_owner"$/,
    todo: /^GRANT "\S+_owner" TO "\S+_admin" WITH ADMIN OPTION$/,
  },
  {
    secret: 'no-group',
    check: admin,
    cause: () => alternating('no-group', () => 'SELECT', { groupRole: 'nobody_owner' }),
    found: /logs in, but the group role "nobody_owner" does not exist$/,
    todo: /^CREATE ROLE "nobody_owner" NOLOGIN, .* or correct groupRole in the catalog\.$/,
  },
  {
    secret: 'no-member',
    check: admin,
    cause: () => alternating('no-member', ({ login, group }) => `REVOKE ${group} FROM ${login}`),
    found: /"\S+_no-member", the login in \S+\/no-member, is not a member of "\S+_no-member_owner"$/,
    todo: /^GRANT "\S+_no-member_owner" TO "\S+_no-member"$/,
  },
  {
    secret: 'sick',
    check: (secretId) => `dependent till of ${secretId}`,
    cause: async () => {
      sick.answer(503);
      await stored('sick', 'canary-of-the-sick', { dependents: [sick.declaration] });
    },
    found: /^http:\/\/127\.0\.0\.1:\d+ answers 503, expected 200$/,
    todo: /^Make it healthy first, or correct its healthUrl in the catalog: .* would be rolled back\.$/,
  },
  {
    secret: 'silent',
    check: (secretId) => `dependent kiosk of ${secretId}`,
    cause: () =>
      stored('silent', 'canary-of-the-silent', {
        dependents: [{ http: { name: 'kiosk', healthUrl: `http://${nowhere}/healthz?key=canary-in-a-url` } }],
      }),
    found: /^http:\/\/127\.0\.0\.1:\d+ does not answer \(.*ECONNREFUSED.*\)$/,
    todo: /^Make it healthy first/,
  },
];

test.each(AILMENTS)('$secret is found, with what to do', ({ secret, check, found, todo }) => {
  const name = check?.(id(secret)) ?? `secret ${id(secret)}`;
  expect(checks.filter((one) => one.name === name)).toEqual([
    {
      name,
      state: 'failed',
      found: expect.stringMatching(found) as string,
      ...(todo && { todo: expect.stringMatching(todo) as string }),
    },
  ]);
});

test('none of it hides what is in order, nor whether a database opens whose secret cannot be read', () => {
  const stateOf = (name: string) => checks.find((check) => check.name === name)?.state;
  for (const what of ['secret', 'database of', 'admin of']) expect(stateOf(`${what} ${id('in-order')}`)).toBe('ok');
  expect(stateOf(`database of ${id('missing')}`)).toBe('skipped');
  expect(checks.filter(({ state }) => state === 'failed')).toHaveLength(AILMENTS.length);
});

test('people are told the same in a list, and how many checks failed, and it ends with 1', () => {
  const { code, stdout, stderr } = forPeople;
  expect(code).toBe(1);
  const failures = checks.filter(({ state }) => state === 'failed');
  expect(stderr).toBe(`Error: ${failures.length} checks failed; each says what to do.\n`);
  for (const { name, state, todo } of checks) {
    const mark = { ok: '✓', warning: '!', failed: '✗', skipped: '–' }[state];
    expect(stdout).toContain(`${mark} ${name} `);
    if (todo)
      expect(stdout).toContain(
        todo
          .split('\n')
          .map((line) => `    → ${line}`)
          .join('\n'),
      );
  }
});

test('no value is in its output', () => {
  expect(forPeople.stdout + forPeople.stderr + JSON.stringify(checks)).not.toContain('canary-');
});
