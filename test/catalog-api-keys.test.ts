import { parseCatalog } from '../src/catalog/catalog';
import type { ApiKeyPlan } from '../src/rotation/plan';
import { AMAZON, AWS, http } from './testbed/api-keys-in-catalogs';
import { dev } from './testbed/catalog-mistakes';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function planOf(secret: string, name = 'a'): ApiKeyPlan {
  const plan = parseCatalog('keyturn.yaml', dev(`${name}: {${secret}}`)).plan('dev', name);
  if (plan.type !== 'api-key') throw new Error(`not the plan of an API key but of ${plan.type}`);
  return plan;
}

describe('the plan of an API key', () => {
  test('has a secondary beside the secret, two keys for 7 days, and a day of quiet before the old one goes', () => {
    expect(planOf(AWS, 'api/payments')).toEqual({
      type: 'api-key',
      environment: 'dev',
      secret: 'api/payments',
      secretId: 'dev/api/payments',
      secondarySecretId: 'dev/api/payments-secondary',
      provider: { name: 'aws-iam', userName: 'exporter' },
      fields: { id: 'accessKeyId', value: 'secretAccessKey' },
      gracePeriodMs: 7 * DAY_MS,
      maxGracePeriodMs: 30 * DAY_MS,
      phaseIn: [],
      quietPeriodMs: DAY_MS,
      onStillUsed: 'fail',
      password: { length: 64, classes: expect.any(Array) as unknown },
      dependents: [],
      timeouts: { stepMs: 15 * MINUTE_MS, rollbackMs: DAY_MS },
    });
  });

  test('has what the catalog says', () => {
    const written = [
      'fields: {id: keyId, value: key}',
      'gracePeriod: 0 days',
      'maxGracePeriod: 365 days',
      'phaseIn: [{after: 0 days, percent: 0}]',
      'quietPeriod: 0 hours',
      'onStillUsed: revoke',
      'description: exports',
      'stepTimeout: 1 minute',
      'dependents: [{http: {name: shop, healthUrl: "https://shop/"}}]',
    ];
    expect(planOf(`${AWS}, ${written.join(', ')}`)).toMatchObject({
      description: 'exports',
      fields: { id: 'keyId', value: 'key' },
      gracePeriodMs: 0,
      maxGracePeriodMs: 365 * DAY_MS,
      phaseIn: [{ afterMs: 0, percent: 0 }],
      quietPeriodMs: 0,
      onStillUsed: 'revoke',
      dependents: [{ name: 'shop' }],
      timeouts: { stepMs: MINUTE_MS },
    });
  });

  test('has a growing share of use for the new key', () => {
    const steps = '{after: 1 day, percent: 10}, {after: 3 days, percent: 50}, {after: 7 days, percent: 100}';
    expect(planOf(`${AWS}, phaseIn: [${steps}]`).phaseIn).toEqual([
      { afterMs: DAY_MS, percent: 10 },
      { afterMs: 3 * DAY_MS, percent: 50 },
      { afterMs: 7 * DAY_MS, percent: 100 },
    ]);
  });

  test('has no default longer than the longest grace period', () => {
    expect(planOf(`${AWS}, maxGracePeriod: 1 minute`)).toMatchObject({
      gracePeriodMs: MINUTE_MS,
      quietPeriodMs: MINUTE_MS,
    });
  });

  test("ends within Amazon's 7 days for a client secret of a Selling Partner application", () => {
    expect(planOf(AMAZON)).toMatchObject({
      provider: {
        name: 'amazon-sp-api',
        clientId: 'amzn1.client',
        queueUrl: 'https://sqs/1/q',
        endpoint: 'https://sp',
        tokenUrl: 'https://api.amazon.com/auth/o2/token',
      },
      fields: { id: 'clientSecretExpiresAt', value: 'clientSecret' },
      gracePeriodMs: 7 * DAY_MS,
      maxGracePeriodMs: 7 * DAY_MS,
    });
  });

  test('has the requests of an HTTP provider, with the usual methods, statuses and times', () => {
    expect(planOf(http())).toMatchObject({ fields: { id: 'keyId', value: 'key' } });
    expect(planOf(http()).provider).toEqual({
      name: 'http',
      requestTimeoutMs: 10_000,
      settleMs: 30_000,
      create: { method: 'POST', url: 'https://api/keys', headers: {}, idPointer: '/id', valuePointer: '/secret' },
      verify: {
        method: 'GET',
        url: 'https://api/me',
        headers: { Authorization: 'Bearer {{key.value}}' },
        accepted: [200],
        refused: [401, 403],
      },
      list: { method: 'GET', url: 'https://api/keys', headers: {}, keysPointer: '/keys', idPointer: '/id' },
      delete: { method: 'DELETE', url: 'https://api/keys/{{key.id}}', headers: {} },
    });
  });

  test('has all that an HTTP provider may say, with bodies as JSON whether they are written as YAML or as JSON', () => {
    const { provider } = planOf(
      http({
        adminSecret: 'admin',
        requestTimeout: '2 seconds',
        settle: '0 s',
        idempotencyHeader: 'Idempotency-Key',
        create:
          '{url: "https://api/keys", method: PUT, headers: {X-Token: "{{admin.token}}"}, body: {name: "{{label}}", days: 3, of: [a]}, id: /a~1b, value: /v}',
        verify: `{url: "https://api/me", method: POST, body: '{"key": "{{key.value}}"}', accepted: [200, 404], refused: [410]}`,
        list: '{url: "https://api/keys", keys: "", id: /id, label: /n, createdAt: /c, lastUsedAt: /u, active: /on}',
        deactivate: '{url: "https://api/keys/{{key.id}}/off"}',
        reactivate: '{url: "https://api/keys/{{key.id}}/on", method: PATCH}',
      }),
    );
    expect(provider).toMatchObject({
      adminSecretId: 'dev/admin',
      requestTimeoutMs: 2_000,
      settleMs: 0,
      idempotencyHeader: 'Idempotency-Key',
      create: { method: 'PUT', body: '{"name":"{{label}}","days":3,"of":["a"]}', idPointer: '/a~1b' },
      verify: { body: '{"key": "{{key.value}}"}', accepted: [200, 404], refused: [410] },
      list: {
        keysPointer: '',
        labelPointer: '/n',
        createdAtPointer: '/c',
        lastUsedAtPointer: '/u',
        activePointer: '/on',
      },
      deactivate: { method: 'POST', url: 'https://api/keys/{{key.id}}/off' },
      reactivate: { method: 'PATCH' },
    });
  });
});

test.each([
  ['dev', '', AWS, 365],
  ['production', '', `${AWS}, maxAge: 100 days`, 100],
  ['production', 'maxAge: 90 days', AWS, 90],
  ['production', '', AMAZON, 180],
  ['production', 'maxAge: 365 days', AMAZON, 180],
  ['production', 'maxAge: 60 days', AMAZON, 60],
])(
  "a key's age is limited by what is written, and not by how often the environment rotates by itself: %s {%s} %s: %d days",
  (environment, policy, secret, days) => {
    const text = `environments: { ${environment}: { secrets: {a: {${secret}}}, ${policy} } }`;
    expect(parseCatalog('keyturn.yaml', text).secrets()).toMatchObject([{ maxAgeMs: days * DAY_MS, type: 'api-key' }]);
  },
);

test("an environment's grace period is for databases alone", () => {
  const text = `environments: { dev: { gracePeriod: 2 hours, secrets: {a: {${AWS}}} } }`;
  expect(parseCatalog('keyturn.yaml', text).plan('dev', 'a')).toMatchObject({ gracePeriodMs: 7 * DAY_MS });
});
