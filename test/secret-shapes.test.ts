import { ApplicationFailure } from '@temporalio/common';
import { otherLogin } from '../src/activities/secrets-manager/candidate';
import { parseDatabaseSecret } from '../src/activities/secrets-manager/database-secret';
import { parseJsonSecret } from '../src/activities/secrets-manager/json-secret';
import { Cause } from '../src/rotation/errors';

const WHERE = 'version 1 of dev/database/app';
/** Stands where a value may stand; no message may repeat it. */
const CANARY = 'canary-5f1d0c7e';

function refusalOf(read: () => unknown): ApplicationFailure {
  try {
    read();
  } catch (error) {
    if (error instanceof ApplicationFailure) return error;
    throw error;
  }
  throw new Error('it was expected to be refused');
}

function expectRefusal(read: () => unknown, because: string | RegExp): void {
  const { type, nonRetryable, message } = refusalOf(read);
  expect({ type, nonRetryable }).toEqual({ type: Cause.SecretUnusable, nonRetryable: true });
  expect(message).toMatch(because);
  expect(message).toContain('left as it is');
  expect(message).not.toContain(CANARY.slice(0, 8));
}

describe('a JSON secret', () => {
  test('is read into its fields, and written again as it was', () => {
    const text = '{"a":"x","b":1.5,"c":null,"d":{"e":[true,"ü"]},"":"","__proto__":"own","n":9007199254740991}';
    const fields = parseJsonSecret(text, WHERE);
    expect(fields['a']).toBe('x');
    expect(JSON.stringify({ ...fields })).toBe(text);
  });

  test.each([
    ['text', CANARY, 'is not JSON'],
    ['cut off', `{"password":"${CANARY}`, 'is not JSON'],
    ['nothing', '', 'is not JSON'],
    ['a JSON text', JSON.stringify(CANARY), 'is not a JSON object'],
    ['a list', JSON.stringify([CANARY]), 'is not a JSON object'],
    ['null', 'null', 'is not a JSON object'],
    ['a number', '12345678', 'is not a JSON object'],
    [
      'an object with a whole number too large',
      `{"id":9007199254740993,"x":"${CANARY}"}`,
      /field id that cannot be kept/,
    ],
    ['an object with one deep inside', `{"a":{"b":[1,{"c":-9007199254740993}]}}`, /field a that cannot be kept/],
    ['an object with a number beyond all bounds', `{"big":1e999}`, /field big that cannot be kept/],
    ['an object with more decimals than are kept', `{"rate":0.12345678901234567890}`, /number that cannot be kept/],
  ])('that is %s is refused', (_what, text, because) => {
    expectRefusal(() => parseJsonSecret(text, WHERE), because);
    expect(refusalOf(() => parseJsonSecret(text, WHERE)).message).toContain(WHERE);
  });
});

describe('a database secret', () => {
  const FIELDS = {
    engine: 'postgres',
    host: 'db.example',
    port: 5433,
    dbname: 'shop',
    username: 'app',
    password: CANARY,
  };
  const read = (fields: object) => parseDatabaseSecret(JSON.stringify(fields), WHERE);

  test('is read as AWS shapes it', () => {
    const { engine: _engine, ...login } = FIELDS;
    expect(read({ ...FIELDS, extra: 'kept elsewhere' })).toEqual({ ...login, sslMode: undefined });
  });

  test.each(['postgres', 'postgresql', 'aurora-postgresql'])('may be of the engine %s', (engine) => {
    expect(read({ ...FIELDS, engine })).toMatchObject({ username: 'app' });
  });

  test.each([
    ['no port', { port: undefined }, { port: 5432 }],
    ['the port as text', { port: '6543' }, { port: 6543 }],
    ['no database', { dbname: undefined }, { dbname: 'app' }],
    ['an empty database', { dbname: '' }, { dbname: 'app' }],
    ['sslmode', { sslmode: 'verify-ca' }, { sslMode: 'verify-ca' }],
    ['sslmode beside ssl, which it overrides', { sslmode: 'require', ssl: false }, { sslMode: 'require' }],
    ['ssl turned on', { ssl: true }, { sslMode: 'verify-full' }],
    ['ssl turned on, as text', { ssl: 'true' }, { sslMode: 'verify-full' }],
    ['ssl turned off', { ssl: false }, { sslMode: 'disable' }],
    ['ssl turned off, as text', { ssl: 'false' }, { sslMode: 'disable' }],
  ])('may have %s', (_what, fields, expected) => {
    expect(read({ ...FIELDS, ...fields })).toMatchObject(expected);
  });

  test.each<[string, object, string | RegExp]>([
    ['no engine', { engine: undefined }, /field engine is missing/],
    ['an engine that is no text', { engine: 5 }, /field engine is missing or not a text/],
    ['another engine', { engine: CANARY }, /engine is none of postgres/],
    ['no host', { host: undefined }, /field host is missing/],
    ['an empty host', { host: '' }, /field host is missing/],
    ['no user', { username: undefined }, /field username is missing/],
    ['a user that is no text', { username: [CANARY] }, /field username is missing or not a text/],
    ['no password', { password: undefined }, /field password is missing/],
    ['an empty password', { password: '' }, /field password is missing/],
    ['a password that is a number', { password: 12345678 }, /field password is missing or not a text/],
    ['a port that is no number', { port: CANARY }, /field port is not a port number/],
    ['port 0', { port: 0 }, /field port is not a port number/],
    ['a port past the last', { port: 65_536 }, /field port is not a port number/],
    ['half a port', { port: 54.5 }, /field port is not a port number/],
    ['sslmode prefer', { sslmode: 'prefer' }, /sslmode is none of .*drop TLS silently/],
    ['sslmode allow', { sslmode: 'allow' }, /sslmode is none of/],
    ['a sslmode that nobody knows', { sslmode: CANARY }, /sslmode is none of/],
  ])('with %s is refused', (_what, fields, because) => {
    expectRefusal(() => read({ ...FIELDS, ...fields }), because);
  });

  test('that is no JSON is refused without a word of it', () => {
    expectRefusal(() => parseDatabaseSecret(`postgres://app:${CANARY}@db/shop`, WHERE), 'is not JSON');
  });
});

describe('the other login', () => {
  test.each([
    ['app', undefined, 'app_clone'],
    ['app_clone', undefined, 'app'],
    ['app_clone_clone', undefined, 'app_clone'],
    ['Ünïcode "user"', undefined, 'Ünïcode "user"_clone'],
    ['blue', ['blue', 'green'], 'green'],
    ['green', ['blue', 'green'], 'blue'],
    ['app_clone', ['app_clone', 'second'], 'second'],
  ] satisfies [string, [string, string] | undefined, string][])(
    'of %j with the logins %j is %j',
    (login, logins, other) => {
      expect(otherLogin(login, logins, 'dev/database/app')).toBe(other);
    },
  );

  test('is refused where the secret has neither of the two in the catalog', () => {
    expectRefusal(() => otherLogin('red', ['blue', 'green'], 'dev/database/app'), /none of the two .*\(blue, green\)/);
  });

  test('is refused where PostgreSQL would cut its name', () => {
    expect(otherLogin('x'.repeat(57), undefined, 'dev/database/app')).toHaveLength(63);
    expectRefusal(() => otherLogin('x'.repeat(58), undefined, 'dev/database/app'), /more than 63 bytes/);
    // Bytes count, not characters.
    expectRefusal(() => otherLogin('ü'.repeat(30), undefined, 'dev/database/app'), /more than 63 bytes/);
  });
});
