import { protect, redact, runInActivityScope } from '../src/activities/boundary/activity-scope';
import { refusalOf } from '../src/activities/delivery/kubernetes/refusals';
import { expectedKeys } from '../src/activities/delivery/kubernetes/secret-digest';
import { secretPartsOf } from '../src/activities/secrets-manager/secret-parts';
import { DEPENDENT } from './testbed/kubernetes';

/** What an API server quotes of itself holds names that are also in the secret. Here the refusal of a Role, in its words. */

const PASSWORD = 'Zr8-kqWm31x-Tof!-Lu7';
const DATABASE = {
  engine: 'postgres',
  host: 'orders-db.internal.example.com',
  port: 5432,
  dbname: 'orders_production',
  username: 'orders_app',
  password: PASSWORD,
};
const KEYS = ['username', 'password'].map((key) => ({ key, field: key }));

const said = (message: string, text: string, keys = KEYS) =>
  runInActivityScope(() => {
    protect(text);
    protect(text, secretPartsOf(text)?.parts);
    expectedKeys({ ...DEPENDENT, keys }, 'v-1', text);
    const asked = { cluster: 'the cluster', verb: 'get', what: 'secrets shop/any' };
    const refusal = refusalOf(asked, 403, JSON.stringify({ reason: 'Forbidden', message }), undefined);
    return Promise.resolve(refusal.message);
  });

const FORBIDDEN = `secrets "orders_app" is forbidden: User "system:serviceaccount:shop:orders_app" cannot get resource "secrets" in orders_production on orders-db.internal.example.com, port 5432 of username postgres`;

test('names that are in a database secret are told', async () => {
  expect(await said(FORBIDDEN, JSON.stringify(DATABASE))).toContain(FORBIDDEN);
  expect(await said(FORBIDDEN, JSON.stringify(DATABASE, undefined, 2))).toContain(FORBIDDEN);
});

test.each([
  ['whole', PASSWORD],
  ['shortened', PASSWORD.slice(0, 11)],
  ['its end', PASSWORD.slice(-8)],
  ['with what stands before it in the secret', `"password":"${PASSWORD.slice(0, 5)}`],
  ['in base64', Buffer.from(PASSWORD).toString('base64')],
])('the password is not: %s', async (_what, quoted) => {
  const message = await said(`the value ${quoted} is not accepted`, JSON.stringify(DATABASE));
  expect(message).toContain('[redacted]');
  for (let i = 0; i + 6 <= PASSWORD.length; i++) expect(message).not.toContain(PASSWORD.slice(i, i + 6));
  expect(message).not.toContain(PASSWORD.slice(0, 5));
});

test('nor is what other fields of a database secret hold, a user that is the password, or one that holds it', async () => {
  const more = { ...DATABASE, url: 'postgresql://somebody:else@nowhere', api: { token: 'a-token-of-its-own' } };
  const message = await said('somebody:else and a-token-of-its-own are wrong', JSON.stringify(more));
  expect(message).not.toMatch(/somebody|a-token/);
  for (const username of [PASSWORD, `${PASSWORD}@host`, PASSWORD.slice(3, 12)]) {
    const text = JSON.stringify({ ...DATABASE, username });
    expect(await said(`no ${username} here`, text)).not.toContain(PASSWORD.slice(3, 12));
  }
});

const KEY_LINE = 'MC4CAQAwBQYDK2VwBCIEIJ3v0uTqk1cWm8Rz';
const SSL = {
  ca: '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIB\n',
  key: `-----BEGIN PRIVATE KEY-----\n${KEY_LINE}\n`,
};

test('nor is a private key that a field holds which is open else', async () => {
  for (const text of [
    { ...DATABASE, ssl: SSL },
    { ...DATABASE, masterarn: [KEY_LINE] },
  ].map((one) => JSON.stringify(one))) {
    expect(await said(`the key ${KEY_LINE} is not accepted`, text)).not.toContain(KEY_LINE.slice(4, 12));
    expect(await said(FORBIDDEN, text)).toContain('"system:serviceaccount:shop:orders_app"');
  }
});

test('a key of a Kubernetes Secret that is mapped to an object is protected, one that is mapped to a boolean is not', async () => {
  const keys = [...KEYS, { key: 'tls', field: 'ssl' }];
  const quoted = JSON.stringify(SSL);
  const told = (ssl: unknown) =>
    runInActivityScope(() => {
      expectedKeys({ ...DEPENDENT, keys }, 'v-1', JSON.stringify({ ...DATABASE, ssl }));
      return Promise.resolve(redact(`${quoted}, ${String(true)}`));
    });
  expect(await told(SSL)).toBe('[redacted], true');
  expect(await told(true)).toBe(`${quoted}, true`);
});

test('a name that stands twice makes all of the secret secret, because parsing sees one value only', async () => {
  for (const [written, twice] of [
    ['"port":5432', `"port":"${KEY_LINE}","port":5432`],
    ['"port":5432', `"ssl":{"key":"${KEY_LINE}"},"port":5432,"ssl" : true`],
    ['"port":5432', `"port":5432,"tls":{"key":"${KEY_LINE}","key":"other"}`],
  ] as const) {
    const text = JSON.stringify(DATABASE).replace(written, twice);
    expect(secretPartsOf(text)).toBeUndefined();
    expect(await said(`the value ${KEY_LINE.slice(0, 20)} is not accepted`, text)).not.toContain(KEY_LINE.slice(0, 12));
  }
  const alike = { ...DATABASE, note: '"port": 1, "port": 2 \\" : ', more: { port: 1, engine: '' } };
  expect(secretPartsOf(JSON.stringify(alike))).toBeDefined();
});

test('where it is not certain which field is secret, all of them are', async () => {
  const { engine: _engine, ...unknown } = DATABASE;
  expect(await said('no orders_app here', JSON.stringify(unknown))).not.toContain('orders_app');
  const escaped = JSON.stringify(DATABASE).replace('Zr8', '\\u005ar8');
  expect(await said('no orders_app here', escaped, [{ key: 'password', field: 'password' }])).not.toContain(
    'orders_app',
  );
});
