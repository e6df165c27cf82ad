import { runInActivityScope, redact } from '../src/activities/boundary/activity-scope';
import type { SecretObject } from '../src/activities/delivery/kubernetes/objects';
import { expectedKeys, whatIsMissing } from '../src/activities/delivery/kubernetes/secret-digest';
import { Cause } from '../src/rotation/errors';
import type { KubernetesDependent, SecretKey, Workload } from '../src/rotation/dependents';

const TEXT = '{"username": "orders", "password": "pässword-of-the-test", "port": 5432, "hosts": ["a", "b"]}';

const dependent = (...keys: SecretKey[]) =>
  ({
    name: 'orders-api',
    namespace: 'shop',
    secret: 'orders-db',
    keys,
    workloads: [] as Workload[],
  }) as KubernetesDependent;

const secretWith = (data: Record<string, string>): SecretObject => ({
  metadata: { name: 'orders-db' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});

test('a Secret holds a version when every mapped key holds its field', () => {
  const expected = expectedKeys(
    dependent({ key: 'PASSWORD', field: 'password' }, { key: 'PORT', field: 'port' }, { key: 'all.json' }),
    'v-1',
    TEXT,
  );
  const held = { PASSWORD: 'pässword-of-the-test', PORT: '5432', 'all.json': TEXT, other: 'not ours' };
  expect(whatIsMissing(secretWith(held), expected)).toBeUndefined();
  expect(whatIsMissing(secretWith({ ...held, PASSWORD: 'another' }), expected)).toBe(
    'its key PASSWORD holds another value',
  );
});

test('what is missing names keys, and no value', () => {
  const expected = expectedKeys(
    dependent({ key: 'a', field: 'password' }, { key: 'b', field: 'username' }),
    'v-1',
    TEXT,
  );
  expect(whatIsMissing(undefined, expected)).toBe('there is no such Secret');
  expect(whatIsMissing(secretWith({ a: 'old' }), expected)).toBe('its key a holds another value, it has no key b');
});

test('a field that the version does not have is refused before anything is asked of the cluster', () => {
  const thrown = () => expectedKeys(dependent({ key: 'a', field: 'token' }), 'v-1', TEXT);
  expect(thrown).toThrow(expect.objectContaining({ type: Cause.SecretUnusable, nonRetryable: true }));
  expect(thrown).toThrow(/has no field token/);
});

test('a Secret of which no key is mapped proves nothing', () => {
  expect(() => expectedKeys(dependent(), 'v-1', TEXT)).toThrow(
    expect.objectContaining({ type: Cause.CatalogInvalid, nonRetryable: true }),
  );
});

test('every field that is compared is kept out of what leaves the activity', async () => {
  await runInActivityScope(async () => {
    expectedKeys(dependent({ key: 'a', field: 'password' }), 'v-1', TEXT);
    expect(redact('told: pässword-of-the-test')).toBe('told: [redacted]');
  });
});
