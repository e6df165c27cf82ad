import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createHttpKeyProviders } from '../src/activities/api-keys/http/providers';
import type { HttpKeyProviders } from '../src/activities/api-keys/http/providers';
import { outsideCalls, redact, runInActivityScope } from '../src/activities/boundary/activity-scope';
import { parseDuration } from '../src/rotation/durations';
import { Cause } from '../src/rotation/errors';
import type { HttpProviderPlan } from '../src/rotation/plan';
import { HTTP_CALL_NAMES, httpCallProblems, templateProblems } from '../src/rotation/templates';
import { makeServerCertificate } from './lab/server-certificate';
import { httpProviderOf, startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService, FakeKeyServiceOptions } from './testbed/fake-key-service';
import { startScriptedKeyService } from './testbed/fake-key-service-scripted';

const ABOUT = 'dev/api/payments';
const REQUEST = {
  label: 'keyturn/dev/api/payments/run-1',
  idempotencyKey: 'creation-1',
  since: '2026-01-01T00:00:00.000Z',
};
/** Two values that no service here issued. */
const UNKNOWN_VALUE = 'fks_neverIssuedByAnybody';
const SCRIPTED_VALUE = 'scripted-Value-4711-äß"\\';

const stops: (() => Promise<void>)[] = [];
let providers: HttpKeyProviders;
let secretsNow: () => string[];

beforeEach(() => {
  providers = createHttpKeyProviders();
  secretsNow = () => [UNKNOWN_VALUE, SCRIPTED_VALUE];
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** As the catalog turns the declaration into a plan. */
function planOf(service: { url: string }): HttpProviderPlan {
  const { adminSecret, requestTimeout, settle, create, verify, list, ...same } = httpProviderOf(service);
  const { id, value, ...createCall } = create;
  const { keys, id: listedId, label, createdAt, lastUsedAt, active, ...listCall } = list;
  return {
    ...same,
    name: 'http',
    adminSecretId: `dev/${adminSecret}`,
    requestTimeoutMs: parseDuration(requestTimeout) ?? 0,
    settleMs: parseDuration(settle) ?? 0,
    create: { ...createCall, method: 'POST', idPointer: id, valuePointer: value },
    verify: { ...verify, method: 'GET' },
    list: {
      ...listCall,
      method: 'GET',
      keysPointer: keys,
      idPointer: listedId,
      labelPointer: label,
      createdAtPointer: createdAt,
      lastUsedAtPointer: lastUsedAt,
      activePointer: active,
    },
    deactivate: { ...same.deactivate, method: 'POST' },
    reactivate: { ...same.reactivate, method: 'POST' },
    delete: { ...same.delete, method: 'DELETE' },
  };
}

async function fakeService(options?: FakeKeyServiceOptions, change: Partial<HttpProviderPlan> = {}) {
  const service = await startFakeKeyService(options);
  stops.push(() => service.stop());
  secretsNow = () => [UNKNOWN_VALUE, service.adminToken, ...service.everyValue()];
  const open = (plan = planOf(service), token: unknown = service.adminToken) =>
    providers.open({ ...plan, ...change }, { token }, ABOUT);
  return { service, open, provider: open() };
}

async function scriptedService(change: (plan: HttpProviderPlan) => Partial<HttpProviderPlan> = () => ({})) {
  const service = await startScriptedKeyService();
  stops.push(() => service.stop());
  const plan = planOf(service);
  const open = (admin: Record<string, unknown> = { token: SCRIPTED_VALUE }) =>
    providers.open({ ...plan, ...change(plan) }, admin, ABOUT);
  /** In another worker, which knows nothing of a pause that the service asked for. */
  const openAnew = () => createHttpKeyProviders().open({ ...plan, ...change(plan) }, { token: 'administrator' }, ABOUT);
  return { service, open, openAnew, provider: open({ token: 'administrator' }) };
}

/** The failure of a call, after a look at whether it shows a value; outside a scope, so that nothing is redacted. */
async function failureOf(call: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await call.then(
    (result) => Promise.reject(new Error(`it did not fail but gave ${inspect(result)}`)),
    (thrown: unknown) => thrown,
  );
  const shown = inspect(error, { depth: 10, showHidden: true });
  for (const value of secretsNow()) {
    for (const form of [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]) {
      expect(shown).not.toContain(form);
    }
  }
  expect(error).toBeInstanceOf(ApplicationFailure);
  return error as ApplicationFailure;
}

const keyFrom = (service: FakeKeyService, id: string) => service.keys().find((key) => key.id === id);

describe('a key lives as the catalog describes it', () => {
  test('it is created, listed, used, deactivated, reactivated and deleted', async () => {
    const { service, provider } = await fakeService();
    const key = await provider.create(REQUEST);
    expect(keyFrom(service, key.id)).toMatchObject({ value: key.value, name: REQUEST.label });
    expect(await provider.verify(key)).toBe('accepted');
    expect(service.uses(key.value)).toBe(1);

    await provider.deactivate?.(key.id);
    expect(await provider.verify(key)).toBe('refused');
    expect((await provider.list())[0]).toMatchObject({ id: key.id, label: REQUEST.label, active: false });
    await provider.reactivate?.(key.id);
    expect(await provider.verify(key)).toBe('accepted');

    await provider.delete(key.id);
    expect(service.keys()).toEqual([]);
    expect(await provider.verify(key)).toBe('refused');
    expect(provider.settleMs).toBe(1_000);
  });

  test('the list tells when each key was made and last used, and holds no value', async () => {
    const { service, provider } = await fakeService();
    const [used, unused] = [service.issue('used'), service.issue('unused')];
    service.setLastUsed(used.id, new Date('2026-03-01T10:00:00Z'));
    const list = await provider.list();
    expect(list).toEqual([
      {
        id: used.id,
        label: 'used',
        active: true,
        createdAt: used.createdAt,
        lastUsedAt: '2026-03-01T10:00:00.000Z',
      },
      { id: unused.id, label: 'unused', active: true, createdAt: unused.createdAt },
    ]);
    expect(await provider.lastUsed?.(used.id)).toBe('2026-03-01T10:00:00.000Z');
    expect(await provider.lastUsed?.(unused.id)).toBeUndefined();
    for (const value of service.everyValue()) expect(JSON.stringify(list)).not.toContain(value);
  });

  test('what the catalog does not declare is absent', async () => {
    const { service, open } = await fakeService();
    const { idempotencyHeader: _header, deactivate: _off, reactivate: _on, ...plan } = planOf(service);
    const provider = open({ ...plan, list: { ...plan.list, lastUsedAtPointer: undefined } });
    expect(Object.keys(provider).sort()).toEqual(['create', 'delete', 'list', 'settleMs', 'verify']);
  });

  test('every request is on the audit record, and every value that is seen is redacted from then on', async () => {
    const { service, open } = await fakeService();
    await runInActivityScope(async () => {
      const provider = open();
      const key = await provider.create(REQUEST);
      await provider.verify({ value: UNKNOWN_VALUE });
      expect(outsideCalls().map(({ system, operation, outcome }) => `${system} ${operation}: ${outcome}`)).toEqual([
        'http POST create: ok',
        'http GET verify: HTTP 401',
      ]);
      const said = redact(`${key.value} ${service.adminToken} ${UNKNOWN_VALUE}`);
      expect(said).toBe('[redacted] [redacted] [redacted]');
    });
  });
});

describe('templates', () => {
  test('values are percent-encoded in a URL, JSON-escaped in a body, and as they are in a header', async () => {
    const { service, open } = await scriptedService(({ create, delete: remove }) => ({
      create: {
        ...create,
        url: `${create.url}?name={{label}}`,
        body: '{"name": "{{ label }}", "by": {"x": "{{label}}"}}',
      },
      delete: { ...remove, headers: { 'X-Number': '{{admin.number}}', Authorization: 'Bearer {{admin.token}}' } },
    }));
    const provider = open({ token: 'adminTöken $&', number: 42 });
    const label = 'a/b "c" \\ ü\n$& {{admin.token}} ?&#%';
    service.answer({ status: 200, body: JSON.stringify({ data: { id: 'k', secret: SCRIPTED_VALUE } }) });
    await provider.create({ ...REQUEST, label });
    await provider.delete('../keys?all=1#x');

    const [created, deleted] = service.seen;
    expect(created?.target).toBe(`/keys?name=${encodeURIComponent(label)}`);
    expect(JSON.parse(created?.body ?? '')).toEqual({ name: label, by: { x: label } });
    expect(created?.headers).toMatchObject({ 'content-type': 'application/json', 'idempotency-key': 'creation-1' });
    expect(deleted?.target).toBe('/keys/..%2Fkeys%3Fall%3D1%23x');
    expect(deleted?.headers).toMatchObject({ 'x-number': '42', authorization: 'Bearer adminTöken $&' });
    expect(deleted?.headers).not.toHaveProperty('idempotency-key');
  });

  test.each([
    ['has a line break at its end', `${SCRIPTED_VALUE}\n`],
    ['has a header of its own', `x\r\nX-Admin: ${SCRIPTED_VALUE}`],
    ['has a control character', `${SCRIPTED_VALUE}\u0007`],
    ['is beyond Latin-1', `${SCRIPTED_VALUE}😀`],
    ['is empty', ''],
    ['is an object', { value: SCRIPTED_VALUE }],
    ['is missing', undefined],
  ])('a field for a header that %s is refused before anything is sent', async (_what, token) => {
    const { service, open } = await scriptedService();
    const error = await failureOf(open({ token }).list());
    expect(error).toMatchObject({ type: Cause.SecretUnusable, nonRetryable: true });
    expect(error.message).toContain('the field "token" of dev/key-service-admin');
    expect(service.seen).toEqual([]);
  });

  test.each(['', '.', '..'])(
    'a key ID %j, with which the URL would be about something else, is refused',
    async (id) => {
      const { service, provider } = await scriptedService();
      const error = await failureOf(provider.delete(id));
      expect(error).toMatchObject({ type: Cause.SecretUnusable });
      expect(error.message).toContain(`key.id of ${ABOUT}`);
      expect(service.seen).toEqual([]);
    },
  );

  test('what every object has is no field of the administrator', async () => {
    const { service, open } = await scriptedService(({ list }) => ({
      list: { ...list, headers: { 'X-Name': '{{admin.constructor}}' } },
    }));
    expect(await failureOf(open({}).list())).toMatchObject({ type: Cause.SecretUnusable });
    expect(service.seen).toEqual([]);
  });

  test('a verify call that names the ID of a key without one says so', async () => {
    const { provider } = await scriptedService(({ verify }) => ({
      verify: { ...verify, url: `${verify.url}/{{key.id}}` },
    }));
    const error = await failureOf(provider.verify({ value: SCRIPTED_VALUE }));
    expect(error.message).toBe(
      `The verify call of ${ABOUT} was not made, because key.id of ${ABOUT} is missing, empty or no text. Correct it, and start again.`,
    );
  });

  test('a plan that is not fit to be filled in is refused before anything is sent', async () => {
    const { service, provider } = await scriptedService(({ list }) => ({
      list: { ...list, headers: { Authorization: '{{key.value}}' } },
    }));
    const error = await failureOf(provider.list());
    expect(error).toMatchObject({ type: Cause.CatalogInvalid, nonRetryable: true });
    expect(error.message).toContain('headers.Authorization names {{key.value}}');
    expect(service.seen).toEqual([]);
  });

  test.each([
    ['{{key.id}}/{{ admin.token }}', []],
    ['{"a": {"b": "{{key.id}}"}}', []],
    ['{{key.value}}', ['names {{key.value}}, which is not known here; known: key.id, admin.*']],
    ['{{admin.}}', ['names {{admin.}}, which is not known here; known: key.id, admin.*']],
    ['{{key.id', ['holds {{ without a name and }} behind it']],
    ['{{a{b}}', ['holds {{ without a name and }} behind it']],
  ])('the catalog checks the names of %j', (text, problems) => {
    expect(templateProblems(text, HTTP_CALL_NAMES.delete)).toEqual(problems);
  });

  const call = { method: 'POST' as const, url: 'https://api.example.com/keys', headers: {}, body: '{}' };
  test.each([
    [call, []],
    [{ ...call, url: 'https://{{admin.host}}/keys' }, [['url'], 'must begin with http:// or https:// and a host']],
    [
      { ...call, url: 'https://api.example.com{{admin.port}}/' },
      [['url'], 'must begin with http:// or https:// and a host'],
    ],
    [{ ...call, url: 'https://me:word@api.example.com/' }, [['url'], 'must begin with http:// or https:// and a host']],
    [{ ...call, url: 'file:///etc/passwd' }, [['url'], 'must begin with http:// or https:// and a host']],
    [{ ...call, body: '{"name": {{label}}}' }, [['body'], 'a {{name}} that does not stand inside quotes']],
    [{ ...call, method: 'GET' as const }, [['body'], 'cannot be sent with GET']],
    [{ ...call, headers: { 'a b': 'x' } }, [['headers', 'a b'], 'is not the name of an HTTP header']],
    [{ ...call, headers: { Host: 'x' } }, [['headers', 'Host'], 'is a header that HTTP itself sets']],
    [{ ...call, headers: { 'X-A': 'a\nb' } }, [['headers', 'X-A'], 'holds a line break']],
    [
      { ...call, headers: { Authorization: 'Bearer abc' } },
      [['headers', 'Authorization'], 'holds a credential itself'],
    ],
    [{ ...call, headers: { 'X-A': '{{key.id}}' } }, [['headers', 'X-A'], 'names {{key.id}}']],
  ])('the catalog checks a call: %j', (declared, [path, problem]) => {
    const problems = httpCallProblems(declared, HTTP_CALL_NAMES.create);
    expect(problems).toEqual(path ? [{ path, problem: expect.stringContaining(String(problem)) as string }] : []);
  });
});

describe('answers', () => {
  const created = (data: unknown) => ({ status: 201, body: JSON.stringify({ data }) });
  const listing = (data: unknown, headers = {}) => ({ status: 200, headers, body: JSON.stringify({ data }) });

  test('an ID may be a number', async () => {
    const { service, provider } = await scriptedService();
    service.answer(created({ id: 9007199254740991, secret: SCRIPTED_VALUE }));
    expect(await provider.create(REQUEST)).toEqual({ id: '9007199254740991', value: SCRIPTED_VALUE });
    service.answer(listing([{ id: 7, name: null, active: true }]));
    expect(await provider.list()).toEqual([{ id: '7', active: true }]);
  });

  test.each([
    ['has no value', { id: 'k' }, 'value: "/data/secret" does not lead to a text'],
    ['has an empty value', { id: 'k', secret: '' }, 'value: "/data/secret" does not lead to a text'],
    ['has no ID', { secret: SCRIPTED_VALUE }, 'id: "/data/id" does not lead to'],
    ['has a value for an ID', { id: SCRIPTED_VALUE, secret: SCRIPTED_VALUE }, 'but to its value'],
    [
      'has an object for an ID',
      { id: { of: SCRIPTED_VALUE }, secret: SCRIPTED_VALUE },
      'id: "/data/id" does not lead to',
    ],
  ])('a created key that %s is refused, and its pointer is named', async (_what, data, problem) => {
    const { service, provider } = await scriptedService();
    service.answer(created(data));
    const error = await failureOf(provider.create(REQUEST));
    expect(error).toMatchObject({ type: Cause.CatalogInvalid, nonRetryable: true });
    expect(error.message).toContain(problem);
  });

  test.each([SCRIPTED_VALUE, `"${UNKNOWN_VALUE}"`, 'null', '', '{"data":'])('%j is no answer', async (body) => {
    const { service, provider } = await scriptedService();
    service.answer({ status: 200, body });
    expect(await failureOf(provider.create(REQUEST))).toMatchObject({ type: Cause.CatalogInvalid });
    expect(await failureOf(provider.list())).toMatchObject({ type: Cause.CatalogInvalid });
  });

  test('an ID that JSON has rounded is refused: it would be the ID of another key', async () => {
    const { service, provider } = await scriptedService();
    service.answer({ status: 200, body: '{"data": [{"id": 1234567890123456789, "active": true}]}' });
    expect((await failureOf(provider.list())).message).toContain('a whole number below 2^53');
  });

  test('a list may be empty, and may be null when it is', async () => {
    const { service, provider } = await scriptedService();
    for (const data of [[], null]) {
      service.answer(listing(data));
      expect(await provider.list()).toEqual([]);
    }
    service.answer(listing(undefined));
    expect((await failureOf(provider.list())).message).toContain('keys: "/data" does not lead to an array');
  });

  test('a list that goes on on another page is refused: a key on it would be overlooked', async () => {
    const { service, provider } = await scriptedService();
    service.answer(listing([], { link: '<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next"' }));
    expect((await failureOf(provider.list())).message).toContain('on several pages');
    service.answer(listing([], { link: '<https://x/?page=1>; rel="prev"' }));
    expect(await provider.list()).toEqual([]);
  });

  test.each([
    ['2026-03-01T10:00:00+02:00', '2026-03-01T08:00:00.000Z'],
    ['2026-03-01 10:00:00', '2026-03-01T10:00:00.000Z'],
    [1772359200, '2026-03-01T10:00:00.000Z'],
    [1772359200000, '2026-03-01T10:00:00.000Z'],
    [null, undefined],
    ['', undefined],
  ])('a last use of %j is %s', async (time, iso) => {
    const { service, provider } = await scriptedService();
    service.answer(listing([{ id: 'k', active: true, last_used_at: time }]));
    expect(await provider.lastUsed?.('k')).toBe(iso);
  });

  test('a last use that is no time is refused and not taken for never', async () => {
    const { service, provider } = await scriptedService();
    service.answer(listing([{ id: 'k', active: true, last_used_at: 'yesterday' }]));
    expect((await failureOf(provider.list())).message).toContain('lastUsedAt: "/last_used_at"');
  });

  test.each([
    ['Active', true],
    ['enabled', true],
    ['REVOKED', false],
    [false, false],
  ])('a state of %j means %s', async (active, meaning) => {
    const { service, provider } = await scriptedService();
    service.answer(listing([{ id: 'k', active }]));
    expect(await provider.list()).toEqual([{ id: 'k', active: meaning }]);
  });

  test('a state that is not known is refused and not guessed', async () => {
    const { service, provider } = await scriptedService();
    for (const active of ['limbo', null, 1]) {
      service.answer(listing([{ id: 'k', active }]));
      expect((await failureOf(provider.list())).message).toContain('active: "/active"');
    }
  });

  test('an answer above 1 MiB is not read', async () => {
    const { service, provider } = await scriptedService();
    service.answer(listing([{ id: 'k', active: true, padding: SCRIPTED_VALUE.repeat(60_000) }]));
    const error = await failureOf(provider.list());
    expect(error).toMatchObject({ type: Cause.CatalogInvalid });
    expect(error.message).toContain('more than 1 MiB');
  });

  test('a redirect is not followed', async () => {
    const { service, provider } = await scriptedService();
    const elsewhere = await scriptedService();
    service.answer({ status: 307, headers: { location: `${elsewhere.service.url}/${SCRIPTED_VALUE.slice(0, 8)}` } });
    expect(await failureOf(provider.create(REQUEST))).toMatchObject({ type: Cause.CatalogInvalid, nonRetryable: true });
    expect(await failureOf(provider.verify({ value: UNKNOWN_VALUE }))).toMatchObject({ type: Cause.TargetUnavailable });
    expect(elsewhere.service.seen).toEqual([]);
  });
});

describe('refusals', () => {
  const CALLS = {
    create: (provider) => provider.create(REQUEST),
    list: (provider) => provider.list(),
    deactivate: (provider) => provider.deactivate?.('key_1') ?? Promise.resolve(),
    reactivate: (provider) => provider.reactivate?.('key_1') ?? Promise.resolve(),
    delete: (provider) => provider.delete('key_1'),
    verify: (provider) => provider.verify({ value: UNKNOWN_VALUE }),
  } satisfies Record<string, (provider: ReturnType<HttpKeyProviders['open']>) => Promise<unknown>>;
  const operations = Object.keys(CALLS) as (keyof typeof CALLS)[];
  const administration = operations.filter((operation) => operation !== 'verify');

  test.each(operations)('a throttled %s is made again when the service says so', async (operation) => {
    const { service, openAnew } = await scriptedService();
    for (const [retryAfter, delayMs] of [
      ['7', 7_000],
      ['0', 1_000],
      ['86400', 60_000],
      ['soon', undefined],
    ] as const) {
      service.answer({ status: 429, headers: { 'retry-after': retryAfter }, body: SCRIPTED_VALUE });
      const error = await failureOf(CALLS[operation](openAnew()));
      expect(error).toMatchObject({ type: Cause.Throttled, nonRetryable: false });
      expect(error.nextRetryDelay ?? undefined).toBe(delayMs);
    }
    const inTwentySeconds = new Date(Date.now() + 20_000).toUTCString();
    service.answer({ status: 429, headers: { 'retry-after': inTwentySeconds } });
    const delay = Number((await failureOf(CALLS[operation](openAnew()))).nextRetryDelay);
    expect(delay).toBeGreaterThan(15_000);
    expect(delay).toBeLessThanOrEqual(20_000);
  });

  test('a service that asks for a pause is not asked before its end, whatever for', async () => {
    const { service, provider } = await scriptedService();
    service.answer({ status: 429, headers: { 'retry-after': '7' } });
    await failureOf(provider.list());
    const asked = service.seen.length;
    const error = await failureOf(provider.create(REQUEST));
    expect(error).toMatchObject({ type: Cause.Throttled, nonRetryable: false });
    expect(error.message).toMatch(/asked to be left alone for another [67] s/);
    expect(Number(error.nextRetryDelay)).toBeLessThanOrEqual(7_000);
    expect(service.seen).toHaveLength(asked);
  });

  test.each(operations)('a %s that meets 5xx proves nothing and is made again', async (operation) => {
    const { service, openAnew } = await scriptedService();
    for (const status of [500, 503]) {
      service.answer({ status, headers: { 'retry-after': '3' }, body: SCRIPTED_VALUE });
      const error = await failureOf(CALLS[operation](openAnew()));
      expect(error).toMatchObject({ type: Cause.TargetUnavailable, nonRetryable: false, nextRetryDelay: 3_000 });
    }
  });

  test.each(administration)(
    'an administrator who may not %s is told which call it was and what to check',
    async (op) => {
      const { service, provider } = await scriptedService();
      for (const status of [401, 403]) {
        service.answer({ status, body: SCRIPTED_VALUE });
        const error = await failureOf(CALLS[op](provider));
        expect(error).toMatchObject({ type: Cause.PermissionDenied, nonRetryable: true });
        for (const part of [String(status), ABOUT, 'dev/key-service-admin', `${op} call's headers`]) {
          expect(error.message).toContain(part);
        }
      }
    },
  );

  test('a wrong administrator token is refused by the service', async () => {
    const { service, open } = await fakeService();
    expect(await failureOf(open(planOf(service), 'wrong-Token').create(REQUEST))).toMatchObject({
      type: Cause.PermissionDenied,
    });
    expect(service.keys()).toEqual([]);
  });

  test.each(administration)('a %s that is answered with 400 is not made again', async (operation) => {
    const { service, provider } = await scriptedService();
    service.answer({ status: 400, body: SCRIPTED_VALUE });
    const error = await failureOf(CALLS[operation](provider));
    expect(error).toMatchObject({ type: Cause.CatalogInvalid, nonRetryable: true });
    expect(error.message).toContain('400');
    expect(service.seen).toHaveLength(1);
  });

  test('a service that issues no further key says so with its status, and nothing was made', async () => {
    const { service, provider } = await fakeService({ maxKeys: 1 });
    service.issue('the only one');
    const error = await failureOf(provider.create(REQUEST));
    expect(error).toMatchObject({ type: Cause.TooManyKeys, nonRetryable: true });
    expect(error.message).toContain('409');
    expect(service.keys()).toHaveLength(1);
  });

  test('a service that is still at work on the first create is asked again', async () => {
    const { service, provider } = await scriptedService();
    service.answer({ status: 409, headers: { 'retry-after': '2' } });
    expect(await failureOf(provider.create(REQUEST))).toMatchObject({
      type: Cause.TargetBusy,
      nonRetryable: false,
      nextRetryDelay: 2_000,
    });
  });

  test.each([404, 410])('a key that is gone (%i) counts as deactivated and as deleted', async (status) => {
    const { service, provider } = await fakeService();
    for (const route of ['POST /keys/:id/deactivate', 'DELETE /keys/:id']) service.answerWith(route, { status });
    await provider.deactivate?.('key_gone');
    await provider.delete('key_gone');
  });

  test("a 'not found' for a key that is listed as active is not taken for its end", async () => {
    const { service, provider } = await fakeService();
    const key = service.issue('still there');
    service.answerWith('DELETE /keys/:id', { status: 404 });
    const error = await failureOf(provider.delete(key.id));
    expect(error).toMatchObject({ type: Cause.TargetUnavailable });
    expect(error.message).toContain(`lists the key ${key.id} as active`);
    await provider.delete(key.id);
    expect(service.keys()).toEqual([]);
  });

  test('only the statuses that the catalog declares say anything about a key', async () => {
    const { service, open } = await fakeService();
    const plan = planOf(service);
    const provider = open({ ...plan, verify: { ...plan.verify, accepted: [200, 204], refused: [401, 410] } });
    for (const [status, meaning] of [
      [204, 'accepted'],
      [410, 'refused'],
    ] as const) {
      service.answerWith('GET /whoami', { status });
      expect(await provider.verify({ value: UNKNOWN_VALUE })).toBe(meaning);
    }
    for (const status of [201, 302, 400, 403, 404, 500]) {
      service.answerWith('GET /whoami', { status });
      const error = await failureOf(provider.verify({ value: UNKNOWN_VALUE }));
      expect(error).toMatchObject({ type: Cause.TargetUnavailable, nonRetryable: false });
      expect(error.message).toContain(String(status));
    }
  });
});

describe('an answer that does not come', () => {
  test('a service whose certificate is not trusted is sent nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-key-service-'));
    stops.push(() => rm(folder, { recursive: true }));
    const { certificateFile, keyFile } = await makeServerCertificate(folder);
    let requests = 0;
    const server = createServer(
      { cert: await readFile(certificateFile), key: await readFile(keyFile) },
      (_, response) => {
        requests += 1;
        response.end();
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => new Promise((resolve) => void server.close(() => resolve())));
    const plan = planOf({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const error = await failureOf(providers.open(plan, { token: SCRIPTED_VALUE.slice(0, 12) }, ABOUT).create(REQUEST));
    expect(error).toMatchObject({ type: Cause.TlsRefused, nonRetryable: true });
    expect(error.message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(requests).toBe(0);
  });

  test('a lost answer to create leaves one key, whose value is read again with the same idempotency key', async () => {
    const { service, provider } = await fakeService();
    service.loseAnswers('POST /keys');
    expect(await failureOf(provider.create(REQUEST))).toMatchObject({ type: Cause.TargetUnavailable });
    const [found] = (await provider.list()).filter(({ label }) => label === REQUEST.label);
    const key = await provider.recover?.(REQUEST, found);
    expect(service.keys()).toMatchObject([{ id: found?.id, value: key?.value }]);
  });

  test('a service that issues another key instead of the first answer gets that one deleted again', async () => {
    const { service, provider } = await fakeService({ honoursIdempotencyKeys: false });
    service.loseAnswers('POST /keys');
    await failureOf(provider.create(REQUEST));
    const [found] = await provider.list();
    expect(await provider.recover?.(REQUEST, found)).toBeUndefined();
    expect(service.keys().map(({ id }) => id)).toEqual([found?.id]);
    expect(service.everyValue()).toHaveLength(2);
  });

  test('a service that has no room for another answer cannot recover the key', async () => {
    const { service, provider } = await fakeService({ honoursIdempotencyKeys: false, maxKeys: 1 });
    service.loseAnswers('POST /keys');
    await failureOf(provider.create(REQUEST));
    expect(await provider.recover?.(REQUEST, (await provider.list())[0])).toBeUndefined();
    expect(service.keys()).toHaveLength(1);
  });

  test('where no key was found, nothing is asked', async () => {
    const { service, provider } = await fakeService();
    expect(await provider.recover?.(REQUEST)).toBeUndefined();
    expect(service.requests('POST /keys')).toBe(0);
  });

  test('a lost answer to deactivate or delete is made good by doing it again', async () => {
    const { service, provider } = await fakeService();
    const key = service.issue('old');
    service.loseAnswers('POST /keys/:id/deactivate');
    service.answerAfterEffectWith('DELETE /keys/:id', { status: 504, body: key.value });
    await failureOf(provider.deactivate?.(key.id) ?? Promise.resolve());
    await provider.deactivate?.(key.id);
    await failureOf(provider.delete(key.id));
    expect(service.keys()).toEqual([]);
    await provider.delete(key.id);
  });

  test('a slow answer is not waited for beyond the time that the catalog allows', async () => {
    const { service, provider } = await fakeService({}, { requestTimeoutMs: 150 });
    const key = service.issue('key');
    service.slowAnswers('GET /whoami', 5_000);
    const error = await failureOf(provider.verify(key));
    expect(error).toMatchObject({ type: Cause.TargetUnavailable });
    expect(error.message).toContain('none within 150 ms');
    expect(await provider.verify(key)).toBe('accepted');
  });

  test('a cancelled activity does not wait for its answer, and asks nothing more', async () => {
    const { service, provider } = await fakeService();
    service.slowAnswers('GET /keys', 30_000);
    const activity = new MockActivityEnvironment();
    const startedAt = performance.now();
    const asking = activity.run(() => provider.list());
    setTimeout(() => activity.cancel(), 100);
    await expect(asking).rejects.toBeInstanceOf(CancelledFailure);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await expect(activity.run(() => provider.list())).rejects.toBeInstanceOf(CancelledFailure);
    expect(service.requests('GET /keys')).toBe(1);
  });

  test('a service that is out of reach five times in a row is left alone by all who use it, and no other is', async () => {
    const { service, open } = await fakeService();
    const other = await fakeService();
    service.refuseConnections(true);
    for (let n = 0; n < 5; n += 1) {
      expect((await failureOf(open().list())).message).toMatch(/gave no answer to GET .*\(\w+\)/);
    }
    service.refuseConnections(false);
    const error = await failureOf(open().verify({ value: UNKNOWN_VALUE }));
    expect(error).toMatchObject({ type: Cause.TargetUnavailable, nextRetryDelay: 5_000 });
    expect(error.message).toContain(`${service.url} was out of reach 5 times in a row`);
    expect(service.requests('GET /whoami')).toBe(0);
    expect(await other.provider.list()).toEqual([]);
    expect(await createHttpKeyProviders().open(planOf(service), { token: service.adminToken }, ABOUT).list()).toEqual(
      [],
    );
  });

  test('a service that refuses is not taken for one that is out of reach; a gateway without a service is', async () => {
    const { service, provider } = await fakeService();
    for (const [status, times] of [
      [401, 6],
      [500, 6],
      [503, 5],
    ] as const) {
      service.answerWith('GET /keys', { status }, times);
      for (let n = 0; n < times; n += 1) await failureOf(provider.list());
    }
    expect((await failureOf(provider.list())).message).toContain('out of reach 5 times in a row');
    expect(service.requests('GET /keys')).toBe(17);
  });

  test('a new key that is not valid everywhere yet is refused until it is', async () => {
    const { provider } = await fakeService({ validAfterMs: 300 });
    const key = await provider.create(REQUEST);
    expect(await provider.verify(key)).toBe('refused');
    await new Promise((resolve) => setTimeout(resolve, 320));
    expect(await provider.verify(key)).toBe('accepted');
  });
});
