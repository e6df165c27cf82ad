import { createHash, createHmac } from 'node:crypto';
import { Client } from 'pg';
import { scramVerifier, scramVerifierWithSalt } from '../src/activities/postgres/scram';
import { startPostgres } from './lab/postgres';
import type { Postgres } from './lab/postgres';
import { startUnreliablePostgres } from './testbed/postgres-wire';
import type { UnreliablePostgres } from './testbed/postgres-wire';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { formsOf } from './testbed/value-forms';

/** A server of its own, whose log holds every statement. */
let postgres: Postgres;
let wire: UnreliablePostgres;
let bed: Testbed;

beforeAll(async () => {
  postgres = await startPostgres(() => undefined);
  wire = await startUnreliablePostgres(postgres.port);
  bed = await openTestbed({}, postgres.superuserUrl);
  await bed.databases.asSuperuser("ALTER SYSTEM SET log_statement = 'all'");
  await bed.databases.asSuperuser("ALTER SYSTEM SET log_connections = 'all'");
  await bed.databases.asSuperuser('SELECT pg_reload_conf()');
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(async () => {
  await wire.stop();
  await postgres.stop();
});

const throughTheWire = () => ({ fields: { port: wire.port } });

/** All that clients sent to the server since a number of connections. */
const sentSince = (connections: number) =>
  wire.tap.connections
    .slice(connections)
    .map(({ sent }) => sent.toString('latin1'))
    .join('\n');

interface Login {
  username: string;
  password: string;
}

async function loginOf(secret: string, stage = 'AWSCURRENT'): Promise<Login> {
  return JSON.parse(await bed.secrets.value(secret, stage)) as Login;
}

async function storedVerifier(username: string): Promise<string> {
  const roles = await bed.databases.asSuperuser<{ rolname: string; rolpassword: string }>(
    'SELECT rolname, rolpassword FROM pg_authid',
  );
  return roles.find(({ rolname }) => rolname === username)?.rolpassword ?? '';
}

/** Looks for passwords in what the server was sent, and in its log. */
async function expectNowhere(passwords: string[], texts: { wire: string; log: string }): Promise<void> {
  for (const password of passwords) {
    const forms = await formsOf({ value: password });
    for (const [where, text] of Object.entries(texts)) {
      const found = forms.filter(({ needle }) => text.includes(needle)).map(({ form }) => form);
      expect({ where, found }).toEqual({ where, found: [] });
    }
  }
}

async function abortOncePromoted(secret: string): Promise<Login> {
  const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'after' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  const candidate = await loginOf(secret);
  await handle.signal('abort');
  await bed.pauses.goOn(point);
  await handle.result();
  return candidate;
}

test.each(['single-user', 'alternating-users'] as const)(
  '%s: neither the wire nor the log of the server shows a password, of a rotation or of its rollback',
  async (strategy) => {
    const create = strategy === 'single-user' ? bed.databases.singleUser : bed.databases.alternatingUsers;
    const { secret } = await create(`plain/${strategy}`, throughTheWire());
    const [connections, logged] = [wire.tap.connections.length, postgres.log().length];
    const passwords = [(await loginOf(secret)).password];
    await bed.rotate(secret);
    passwords.push((await loginOf(secret)).password);
    await bed.rotate(secret);
    passwords.push((await loginOf(secret)).password, (await abortOncePromoted(secret)).password);

    const log = await until('the log', () => Promise.resolve(postgres.log().slice(logged)));
    expect(log).toMatch(/statement: (ALTER|CREATE) ROLE [^\n]* PASSWORD 'SCRAM-SHA-256\$4096:/);
    expect(new Set(passwords).size).toBe(4);
    await expectNowhere(passwords, { wire: sentSince(connections), log });
    expect(await bed.databases.opens(secret)).toBe(true);
  },
);

test.each(['single-user', 'alternating-users'] as const)(
  '%s: the server stores the verifier that was computed here for this version and login',
  async (strategy) => {
    const create = strategy === 'single-user' ? bed.databases.singleUser : bed.databases.alternatingUsers;
    const { secret } = await create(`verifier/${strategy}`, throughTheWire());
    const { versions } = await bed.rotate(secret);
    const { username, password } = await loginOf(secret);
    expect(await storedVerifier(username)).toBe(await scramVerifier(password, versions.current ?? '', username));
    expect(await bed.databases.opens(secret)).toBe(true);
  },
);

/** Every verifier that clients sent. */
const verifiersIn = (text: string) => text.match(/SCRAM-SHA-256\$4096:[\w+/=]+\$[\w+/=]+:[\w+/=]+/g) ?? [];

test('a password that is set again after a lost answer is set by the same verifier', async () => {
  const { secret } = await bed.databases.alternatingUsers('again/alternating', throughTheWire());
  await bed.rotate(secret);
  const connections = wire.tap.connections.length;
  wire.loseStatement(0, 'PASSWORD');
  await bed.rotate(secret);
  const verifiers = verifiersIn(sentSince(connections));
  expect(verifiers).toHaveLength(2);
  expect(new Set(verifiers)).toEqual(new Set([await storedVerifier((await loginOf(secret)).username)]));
});

test('a password that somebody set back meanwhile is set again by the same verifier', async () => {
  const { secret, username } = await bed.databases.singleUser('again/single', throughTheWire());
  const before = await storedVerifier(username);
  const connections = wire.tap.connections.length;
  const point = { secretId: bed.secrets.idOf(secret), step: 'setPassword', when: 'before' } as const;
  const lost = wire.loseStatement(0, 'PASSWORD');
  const handle = await bed.start(secret);
  await until('the lost answer', () => Promise.resolve(lost.request), { everyMs: 5 });
  await bed.pauses.stopAt(point);
  await bed.pauses.reached(point);
  await bed.databases.asSuperuser(`ALTER ROLE "${username}" PASSWORD '${before}'`);
  await bed.pauses.goOn(point);
  await handle.result();
  const verifiers = verifiersIn(sentSince(connections));
  expect(verifiers).toHaveLength(2);
  expect(new Set(verifiers)).toEqual(new Set([await storedVerifier(username)]));
  expect(await bed.databases.opens(secret)).toBe(true);
});

test('verifiers differ between versions and between logins', async () => {
  const verifiers = await Promise.all([
    scramVerifier('same', 'version-1', 'app'),
    scramVerifier('same', 'version-2', 'app'),
    scramVerifier('same', 'version-1', 'app_clone'),
  ]);
  expect(new Set(verifiers).size).toBe(3);
});

const xor = (a: Buffer, b: Buffer) => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));

test("the verifier proves the exchange of RFC 7677's example", async () => {
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const salt = 'W22ZaJ0SNY7soEsUEjb6gQ==';
  const exchange = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=${salt},i=4096,c=biws,r=${nonce}`;
  const clientProof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
  const serverSignature = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

  const verifier = await scramVerifierWithSalt('pencil', Buffer.from(salt, 'base64'));
  const [, saltPart, storedKey = '', serverKey = ''] =
    /^SCRAM-SHA-256\$4096:(.+)\$(.+):(.+)$/.exec(verifier)?.slice() ?? [];
  const sign = (key: string) => createHmac('sha256', Buffer.from(key, 'base64')).update(exchange).digest();
  expect(saltPart).toBe(salt);
  expect(sign(serverKey).toString('base64')).toBe(serverSignature);
  const clientKey = xor(clientProof, sign(storedKey));
  expect(createHash('sha256').update(clientKey).digest('base64')).toBe(storedKey);
});

/** A password as it is stored in the secret, and as a client without SASLprep (RFC 4013) has to type it. */
const UNICODE: [what: string, stored: string, typed: string][] = [
  ['that SASLprep changes', 'I\u00adX-\u2168-\u00aa-na\u00efve', 'IX-IX-a-na\u00efve'],
  ['with a space that SASLprep maps', 'na\u00efve\u00a0password', 'na\u00efve password'],
  ['that SASLprep refuses for its direction', '\u06271-password', '\u06271-password'],
  ['that SASLprep refuses as unassigned', 'password-\u{1f511}-key', 'password-\u{1f511}-key'],
  ['of control characters', 'pass\u0007word\u007f\ttab', 'pass\u0007word\u007f\ttab'],
];

test.each(UNICODE)('a password %s has the verifier that PostgreSQL itself makes', async (_what, password) => {
  await bed.databases.asSuperuser('DROP ROLE IF EXISTS unicode_check');
  // As a client would: PostgreSQL makes the verifier.
  await bed.databases.asSuperuser(`CREATE ROLE unicode_check LOGIN PASSWORD '${password}'`);
  const theirs = await storedVerifier('unicode_check');
  const salt = Buffer.from(/:([\w+/=]+)\$/.exec(theirs)?.[1] ?? '', 'base64');
  expect(await scramVerifierWithSalt(password, salt)).toBe(theirs);
  await bed.databases.asSuperuser('DROP ROLE unicode_check');
});

test.each(UNICODE)('an old password %s opens the database again after a rollback', async (what, password, typed) => {
  const { secret, username } = await bed.databases.singleUser(`unicode/${UNICODE.findIndex(([w]) => w === what)}`, {
    password,
    ...throughTheWire(),
  });
  expect(await typedOpens(username, typed)).toBe(true);
  const candidate = await abortOncePromoted(secret);
  expect(await typedOpens(username, typed)).toBe(true);
  expect(await typedOpens(username, candidate.password)).toBe(false);
});

async function typedOpens(user: string, password: string): Promise<boolean> {
  const client = new Client({ host: postgres.host, port: postgres.port, database: user, user, password });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '28P01') return false;
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
