import type { ApiKeyFacts, ApiKeyProvider } from '../src/activities/api-keys/provider';
import { failure } from '../src/activities/failures';
import { runInActivityScope } from '../src/activities/boundary/activity-scope';
import { checkApiKey } from '../src/client/doctor/api-key-checks';
import type { Check } from '../src/client/doctor/check';
import { Cause } from '../src/rotation/errors';
import { APP_SECRET_POLICY } from '../src/rotation/password-policy';
import type { ApiKeyPlan } from '../src/rotation/plan';

const CANARY = 'canary-value-of-the-key';
const SECRET = 'dev/api/payments';
const SECONDARY = `${SECRET}-secondary`;

const PLAN: ApiKeyPlan = {
  type: 'api-key',
  environment: 'dev',
  secret: 'api/payments',
  secretId: SECRET,
  secondarySecretId: SECONDARY,
  password: APP_SECRET_POLICY,
  dependents: [],
  timeouts: { stepMs: 1_000, rollbackMs: 1_000 },
  provider: { name: 'aws-iam', userName: 'payments' },
  fields: { id: 'accessKeyId', value: 'secretAccessKey' },
  gracePeriodMs: 1_000,
  maxGracePeriodMs: 2_000,
  phaseIn: [],
  quietPeriodMs: 1_000,
  onStillUsed: 'fail',
};

/** In the future. */
const GRACE_ENDS_AT = new Date(Date.now() + 86_400_000).toISOString();

const key = (id: string, about: Partial<ApiKeyFacts> = {}): ApiKeyFacts => ({ id, active: true, ...about });

interface Situation {
  keys?: ApiKeyFacts[];
  provider?: Partial<ApiKeyProvider>;
  current?: object;
  secondary?: object;
  rotating?: boolean;
}

/** What the doctor finds of an IAM user's keys; the provider is a fake, so that it can be in any state. */
function examined({ keys = [key('AKIAOLD')], provider, current, secondary, rotating }: Situation): Promise<Check[]> {
  const texts: Record<string, object | undefined> = {
    [SECRET]: current ?? { accessKeyId: 'AKIAOLD', secretAccessKey: CANARY },
    [SECONDARY]: secondary,
  };
  const fakeProvider: ApiKeyProvider = {
    settleMs: 0,
    mostKeys: 2,
    create: () => Promise.reject(new Error('the doctor makes no key')),
    deactivate: () => Promise.reject(new Error('the doctor changes no key')),
    delete: () => Promise.reject(new Error('the doctor deletes no key')),
    verify: () => Promise.resolve('accepted'),
    list: () => Promise.resolve(keys),
    lastUsed: () => Promise.resolve(undefined),
    ...provider,
  };
  return runInActivityScope(() =>
    checkApiKey(
      {
        secrets: {
          inspect: (secretId) => Promise.resolve({ exists: texts[secretId] !== undefined, labels: {} }),
          readCurrent: (secretId) => Promise.resolve({ versionId: 'v1', text: JSON.stringify(texts[secretId]) }),
        },
        providers: { open: () => Promise.resolve(fakeProvider) },
        isRotating: () => Promise.resolve(rotating),
      },
      PLAN,
    ),
  );
}

const named = (checks: Check[], what: string) => checks.find(({ name }) => name === `${what} of ${SECRET}`);

test('keys in order: how many there are, that the current one is accepted, and what cannot be tried', async () => {
  expect(await examined({})).toEqual([
    { name: `provider of ${SECRET}`, state: 'ok', found: 'the IAM user payments has 1 key of at most 2' },
    { name: `key of ${SECRET}`, state: 'ok', found: 'the current key AKIAOLD is accepted' },
    {
      name: `secondary of ${SECRET}`,
      state: 'ok',
      found: `${SECONDARY} is not there: no key is on its way or left over`,
    },
    {
      name: `write permissions of ${SECRET}`,
      state: 'skipped',
      found: 'not tried: that would make or change a key',
      todo: `The worker needs iam:CreateAccessKey, ListAccessKeys, GetAccessKeyLastUsed, UpdateAccessKey and DeleteAccessKey on the user payments, and secretsmanager:CreateSecret, PutSecretValue, UpdateSecretVersionStage, TagResource and DeleteSecret on ${SECONDARY}.`,
    },
  ]);
});

test('a user with two keys is warned about before a rotation is refused, with the age and last use of both', async () => {
  const createdAt = new Date(Date.now() - 90 * 86_400_000).toISOString();
  const lastUsedAt = '2030-01-01T12:00:00.000Z';
  const found = named(
    await examined({ keys: [key('AKIAOLD'), key('AKIATWO', { createdAt, lastUsedAt })] }),
    'provider',
  );
  expect(found?.state).toBe('warning');
  expect(found?.found).toContain(`AKIATWO (active, 90 d old, last used ${lastUsedAt})`);
  expect(found?.found).toContain('None was touched.');
});

describe('the secondary secret', () => {
  const secondary = {
    accessKeyId: 'AKIANEW',
    secretAccessKey: CANARY,
    graceEndsAt: GRACE_ENDS_AT,
    phaseInPercent: 10,
    keyturn: { rotation: 'run', since: '2030-01-24T12:00:00.000Z', keyId: 'AKIANEW' },
  };
  const keys = [key('AKIAOLD'), key('AKIANEW')];

  test('of a rotation that runs is in order, and so are its two keys', async () => {
    const checks = await examined({ keys, secondary, rotating: true });
    expect(named(checks, 'provider')?.state).toBe('ok');
    expect(named(checks, 'secondary')).toMatchObject({
      state: 'ok',
      found: `belongs to the rotation that runs with the key AKIANEW; grace period until ${GRACE_ENDS_AT}`,
    });
  });

  test('that no rotation needs any more is left over', async () => {
    expect(named(await examined({ keys, secondary, rotating: false }), 'secondary')).toMatchObject({
      state: 'warning',
      found: `${SECONDARY} is left over with the key AKIANEW: no rotation runs that needs it`,
      todo: `The next rotation puts it in order: keyturn rotate ${SECRET}`,
    });
  });

  test('is neither when Temporal cannot be asked', async () => {
    expect(named(await examined({ keys, secondary }), 'secondary')?.state).toBe('skipped');
  });

  test('that somebody else made stands in the way', async () => {
    const found = named(await examined({ secondary: { anything: CANARY }, rotating: false }), 'secondary');
    expect(found?.state).toBe('failed');
    expect(found?.found).toContain('was not made by Keyturn');
  });
});

test('a current key that the provider refuses, or does not list, is found with what to do', async () => {
  const checks = await examined({ keys: [key('AKIAELSE')], provider: { verify: () => Promise.resolve('refused') } });
  expect(named(checks, 'provider')).toMatchObject({
    state: 'warning',
    found: `the IAM user payments has 1 key of at most 2, and AKIAOLD, the current key of ${SECRET}, is not among them`,
  });
  expect(named(checks, 'key')).toEqual({
    name: `key of ${SECRET}`,
    state: 'failed',
    found: 'the current key AKIAOLD is refused',
    todo: `Store a key that works in ${SECRET}: a rotation only starts from one that does.`,
  });
});

test('a provider that cannot be reached, or may not be asked, says so and whether the key works is still looked at', async () => {
  const down = await examined({
    provider: { list: () => Promise.reject(failure(Cause.TargetUnavailable, 'IAM did not answer ListAccessKeys.')) },
  });
  expect(named(down, 'provider')).toMatchObject({
    state: 'failed',
    found: 'IAM did not answer ListAccessKeys.',
    todo: expect.stringContaining("Check the provider's address") as string,
  });
  expect(named(down, 'key')?.state).toBe('ok');
});

test('a provider that can neither list keys nor tell their use says so', async () => {
  const blind = await examined({ provider: { lastUsed: undefined } });
  expect(named(blind, 'provider')?.found).toContain('cannot tell when a key was last used');
  const mute = await examined({ provider: { list: undefined } });
  expect(named(mute, 'provider')).toMatchObject({ state: 'skipped' });
});

test('a secret without the declared field is named with it, and nothing else is tried', async () => {
  const checks = await examined({ current: { accessKeyId: 'AKIAOLD', password: CANARY } });
  expect(named(checks, 'provider')?.found).toContain('has no text in the field secretAccessKey');
  expect(named(checks, 'key')).toMatchObject({ state: 'skipped', found: 'needs its provider' });
});

test('no value is in what it finds', async () => {
  const everything = await Promise.all([
    examined({ provider: { verify: () => Promise.reject(new Error(`the key ${CANARY} is odd`)) } }),
    examined({ secondary: { secretAccessKey: CANARY, keyturn: { rotation: 'r', since: 's' } }, rotating: false }),
    examined({ current: { accessKeyId: 'AKIAOLD', password: CANARY } }),
  ]);
  expect(JSON.stringify(everything)).not.toContain(CANARY);
});
