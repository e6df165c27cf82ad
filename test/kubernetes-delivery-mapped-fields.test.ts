import { runInActivityScope } from '../src/activities/boundary/activity-scope';
import { seeMappedFields } from '../src/activities/delivery/kubernetes/mapped-fields';
import type { SecretStore } from '../src/activities/secrets-manager/store';
import type { Dependent, KubernetesDependent, SecretKey } from '../src/rotation/dependents';
import { Cause } from '../src/rotation/errors';
import { DEPENDENT } from './testbed/kubernetes';

const CURRENT = JSON.stringify({ username: 'orders', password: 'password-of-the-test' });

/**
 * @param current the text of AWSCURRENT; `null` when the secret does not exist yet.
 * @returns how often it was read.
 */
async function look(dependents: Dependent[], current: string | null = CURRENT): Promise<number> {
  let reads = 0;
  const described = { labels: { current: 'v-1' }, scheduledForDeletion: false, about: {} };
  const secrets: Pick<SecretStore, 'describe' | 'readVersion'> = {
    describe: () => Promise.resolve(current === null ? undefined : described),
    readVersion: () => Promise.resolve((reads++, current ?? '')),
  };
  await runInActivityScope(() => seeMappedFields(secrets, 'dev/orders', dependents));
  return reads;
}

const taking = (key: SecretKey, more: Partial<KubernetesDependent> = {}) => ({ ...DEPENDENT, keys: [key], ...more });
const MISTYPED = { key: 'PASSWORD', field: 'passwort' };

test('a key that is mapped to a field that AWSCURRENT does not have is refused', async () => {
  const mistyped = look([DEPENDENT, taking(MISTYPED)]);
  await expect(mistyped).rejects.toMatchObject({ type: Cause.SecretUnusable, nonRetryable: true });
  await expect(mistyped).rejects.toThrow(/Version v-1 .* has no field passwort, .* Correct keys in the catalog/);
});

test('so is a field of a secret that is one text', async () => {
  await expect(look([DEPENDENT], 'a-text-without-fields')).rejects.toMatchObject({ type: Cause.SecretUnusable });
});

test('fields that are there are right, and a secret that does not exist yet has none', async () => {
  expect(await look([DEPENDENT])).toBe(1);
  expect(await look([taking(MISTYPED)], null)).toBe(0);
});

test('nothing is read where no field is taken, or a template makes something else of it', async () => {
  const http = { kind: 'http', name: 'web', healthUrl: 'http://127.0.0.1', expectStatus: 200, timeoutMs: 1 } as const;
  expect(await look([http, taking({ key: 'all' }), taking(MISTYPED, { expect: 'any-change' })])).toBe(0);
});
