import { runInActivityScope } from '../src/activities/boundary/activity-scope';
import { seeMappedFields } from '../src/activities/delivery/kubernetes/mapped-fields';
import type { SecretStore } from '../src/activities/secrets-manager/store';
import type { Dependent, KubernetesDependent, SecretKey } from '../src/rotation/dependents';
import { Cause } from '../src/rotation/errors';
import { DEPENDENT } from './testbed/kubernetes';

const TEXT = JSON.stringify({ username: 'orders', password: 'password-of-the-test' });

/** @returns how often the version was read. */
async function look(dependents: Dependent[], text = TEXT): Promise<number> {
  let reads = 0;
  const secrets: Pick<SecretStore, 'readVersion'> = { readVersion: () => Promise.resolve((reads++, text)) };
  const version = { secretId: 'dev/orders', versionId: 'v-1' };
  await runInActivityScope(() => seeMappedFields(secrets, version, dependents));
  return reads;
}

const taking = (key: SecretKey, more: Partial<KubernetesDependent> = {}) => ({ ...DEPENDENT, keys: [key], ...more });
const MISTYPED = { key: 'PASSWORD', field: 'passwort' };

test('a key that is mapped to a field that the version does not have is refused', async () => {
  const mistyped = look([DEPENDENT, taking(MISTYPED)]);
  await expect(mistyped).rejects.toMatchObject({ type: Cause.SecretUnusable, nonRetryable: true });
  await expect(mistyped).rejects.toThrow(/Version v-1 .* has no field passwort, .* Correct keys in the catalog/);
});

test('so is a field of a secret that is one text', async () => {
  await expect(look([DEPENDENT], 'a-text-without-fields')).rejects.toMatchObject({ type: Cause.SecretUnusable });
});

test('fields that are there are right', async () => {
  expect(await look([DEPENDENT])).toBe(1);
});

test('nothing is read where no field is taken, or a template makes something else of it', async () => {
  const http = { kind: 'http', name: 'web', healthUrl: 'http://127.0.0.1', expectStatus: 200, timeoutMs: 1 } as const;
  expect(await look([http, taking({ key: 'all' }), taking(MISTYPED, { expect: 'any-change' })])).toBe(0);
});
