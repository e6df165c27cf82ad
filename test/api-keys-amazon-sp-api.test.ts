import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { CancelledFailure, type ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createAmazonSpApiProvider } from '../src/activities/api-keys/amazon-sp-api/provider';
import { PATIENCE, untilNextRequest } from '../src/activities/api-keys/amazon-sp-api/patience';
import type { ApiKeyProvider } from '../src/activities/api-keys/provider';
import type { AuditEntry, AuditLog } from '../src/activities/audit/audit-log';
import { createActivityBoundary } from '../src/activities/boundary/interceptor';
import { Cause } from '../src/rotation/errors';
import type { AmazonSpApiProviderPlan } from '../src/rotation/plan';
import { freePort, LOOPBACK } from './lab/ports';
import { newSecretMessage, startFakeSellingPartnerApi } from './testbed/fake-selling-partner-api';
import type { FakeSellingPartnerApi } from './testbed/fake-selling-partner-api';
import { until } from './testbed/until';

const ABOUT = 'dev/api/selling-partner';
const CLIENT_ID = 'amzn1.application-oa2-client.6f1c9e';
const DAY_MS = 86_400_000;
/** Waits as in production, only shorter. */
const SHORT = { attemptMs: 4_000, periodMs: 6_000, sendWithinMs: 5_000 };

let sqs: SQSClient;
let queueUrl: string;
let amazon: FakeSellingPartnerApi;
let plan: AmazonSpApiProviderPlan;
let entries: AuditEntry[];

beforeAll(() => {
  sqs = new SQSClient({});
});
afterAll(() => sqs.destroy());

beforeEach(async () => {
  const created = await sqs.send(new CreateQueueCommand({ QueueName: `keyturn-${randomUUID()}` }));
  queueUrl = created.QueueUrl ?? '';
  const clientSecret = `amzn1.oa2-cs.v1.${randomUUID()}`;
  amazon = await startFakeSellingPartnerApi({ sqs, queueUrl, clientId: CLIENT_ID, clientSecret });
  const { endpoint, tokenUrl } = amazon;
  plan = { name: 'amazon-sp-api', clientId: CLIENT_ID, queueUrl, endpoint, tokenUrl };
  entries = [];
});
afterEach(async () => {
  await amazon.stop();
  await sqs.send(new DeleteQueueCommand({ QueueUrl: queueUrl }));
});

function provider(overrides: Partial<AmazonSpApiProviderPlan> = {}): ApiKeyProvider {
  return createAmazonSpApiProvider({ ...plan, ...overrides }, { clientSecret: currentSecret() }, sqs, ABOUT, SHORT);
}

/** The secret that the fake was started with. */
function currentSecret(): string {
  return amazon.everyValue()[0] ?? '';
}

function request(since = new Date()) {
  return { label: 'keyturn/dev/api/selling-partner/run', idempotencyKey: 'run-1', since: since.toISOString() };
}

/** An activity as the worker runs it, with everything that leaves it kept for `expectNoValue`. */
function activity({ attempt = 1 } = {}) {
  const audit: AuditLog = {
    append: async (entry) => void entries.push(structuredClone(entry)),
    list: () => Promise.reject(new Error('not used here')),
    verify: () => Promise.reject(new Error('not used here')),
    close: () => Promise.resolve(),
  };
  const environment = new MockActivityEnvironment(
    { activityType: 'createKey', attempt },
    { interceptors: [createActivityBoundary({ audit })], logger: new DefaultLogger('ERROR') },
  );
  return {
    cancel: (reason: string) => environment.cancel(reason as never),
    /** Runs it; what it finds goes around the boundary, which lets no value out. */
    async run<T>(work: () => Promise<T>): Promise<T> {
      let found: { result: T } | undefined;
      await environment.run(async () => {
        found = { result: await work() };
      });
      if (!found) throw new Error('the activity did not end');
      return found.result;
    },
  };
}

async function failureOf(run: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  const failed = error as ApplicationFailure;
  expectNoValue(failed.message, failed.stack ?? '', JSON.stringify(failed));
  return failed;
}

function expectNoValue(...texts: string[]): void {
  const values = amazon.everyValue();
  for (const text of [...texts, JSON.stringify(entries)]) {
    for (const value of values) expect(text.includes(value)).toBe(false);
    expect(text).not.toMatch(/Atc\||oa2-cs/);
  }
}

async function send(body: string): Promise<void> {
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }));
}

/** A notification with a secret of its own. */
function message(clientId: string, madeAt = new Date(), newClientSecret = `amzn1.oa2-cs.v1.${randomUUID()}`): string {
  const newClientSecretExpiryTime = new Date(madeAt.getTime() + 180 * DAY_MS).toISOString();
  const oldClientSecretExpiryTime = new Date(madeAt.getTime() + 7 * DAY_MS).toISOString();
  return newSecretMessage({ clientId, newClientSecret, newClientSecretExpiryTime, oldClientSecretExpiryTime }, madeAt);
}

/** How many messages can be received now, and how many are hidden. */
async function messages(): Promise<{ visible: number; hidden: number }> {
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: [...names] }),
  );
  return { visible: Number(Attributes?.[names[0]]), hidden: Number(Attributes?.[names[1]]) };
}

async function bodiesInQueue(): Promise<string[]> {
  const received = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 1 }),
  );
  return (received.Messages ?? []).map(({ Body }) => Body ?? '');
}

describe('a new client secret', () => {
  test('comes with its expiry as ID and the time at which Amazon ends the one that it replaces', async () => {
    const before = Date.now();
    const created = await activity().run(() => provider().create(request()));

    expect(amazon.accepts(created.value)).toBe(true);
    expect(created.value).not.toBe(currentSecret());
    expect(Date.parse(created.id)).toBeGreaterThanOrEqual(before + 180 * DAY_MS);
    expect(Date.parse(created.replacedExpiresAt ?? '')).toBeGreaterThanOrEqual(before + 7 * DAY_MS);
    expect(amazon.seen).toEqual({ tokenRequests: 1, secretRequests: 1, secretsMade: 1 });
    expectNoValue();
  });

  test('stays in the queue until it is stored, and is then removed, also when that is said twice', async () => {
    const created = await activity().run(() => provider().create(request()));
    expect(await messages()).toEqual({ visible: 0, hidden: 1 });

    await activity().run(async () => created.stored?.());
    await activity().run(async () => created.stored?.());
    expect(await messages()).toEqual({ visible: 0, hidden: 0 });
  });

  test('and the one that it replaces both work, until Amazon ends the old one', async () => {
    const created = await activity().run(() => provider().create(request()));
    const old = currentSecret();
    const verify = (value: string) => activity().run(() => provider().verify({ value }));

    expect([await verify(old), await verify(created.value)]).toEqual(['accepted', 'accepted']);
    amazon.expireOldNow();
    expect([await verify(old), await verify(created.value)]).toEqual(['refused', 'accepted']);
    expectNoValue();
  });

  test('is waited for while its notification is on its way', async () => {
    amazon.behaviour.notificationDelayMs = 1_500;
    const created = await activity().run(() => provider().create(request()));
    expect(amazon.accepts(created.value)).toBe(true);
  });

  test('is not to be listed, switched off or deleted: secrets only expire', () => {
    const { list, lastUsed, deactivate, reactivate, delete: deleteKey } = provider();
    expect([list, lastUsed, deactivate, reactivate, deleteKey]).toEqual(Array(5).fill(undefined));
  });
});

describe('an unknown outcome', () => {
  test('a request whose answer was lost is answered by the queue, without a second one', async () => {
    amazon.behaviour.loseAnswers = 1;
    const created = await activity().run(() => provider().create(request()));
    expect(amazon.accepts(created.value)).toBe(true);
    expect(amazon.seen.secretsMade).toBe(1);
  });

  test('a request that Amazon answered with 503 is not repeated by the same attempt, and says what is waited for', async () => {
    amazon.behaviour.refuseWith = [503];
    const failed = await failureOf(activity().run(() => provider().create(request())));
    expect(failed).toMatchObject({ type: Cause.NotYetVisible, nonRetryable: false });
    expect(failed.message).toContain('Waiting for the notification APPLICATION_OAUTH_CLIENT_NEW_SECRET');
    expect(failed.message).toContain('503');
    expect(failed.message).toContain(queueUrl);
    expect(amazon.seen.secretRequests).toBe(1);
  });

  test('a secret that comes after its attempt has given up waiting is recovered', async () => {
    amazon.behaviour.notificationDelayMs = SHORT.attemptMs + 1_000;
    const asked = request();
    const failed = await failureOf(activity().run(() => provider().create(asked)));
    expect(failed).toMatchObject({ type: Cause.NotYetVisible, nonRetryable: false });
    expect(failed.message).toContain('204');
    await until('the notification', async () => (await messages()).visible === 1);

    const recovered = await recoveredBy(activity({ attempt: 2 }), asked);
    expect(amazon.accepts(recovered?.value ?? '')).toBe(true);
    await activity().run(async () => recovered?.stored?.());
    expect(await messages()).toEqual({ visible: 0, hidden: 0 });
    expect(amazon.seen.secretsMade).toBe(1);
  });

  test('the secret of an attempt that died with it in its hands is recovered when it shows itself again', async () => {
    const asked = request();
    const created = await activity().run(() => provider().create(asked));
    expect(await recoveredBy(activity({ attempt: 2 }), asked)).toBeUndefined();

    await until('the message', async () => (await messages()).visible === 1, { everyMs: 1_000 });
    const { id, value, replacedExpiresAt } = created;
    expect(await recoveredBy(activity({ attempt: 3 }), asked)).toMatchObject({ id, value, replacedExpiresAt });
    expect(amazon.seen.secretsMade).toBe(1);
  });

  test('a first attempt does not ask either while an answer waits, though by a clock that is half a minute behind', async () => {
    await send(message(CLIENT_ID, new Date(Date.now() - 30_000)));
    await activity().run(() => provider().create(request()));
    expect(amazon.seen.secretRequests).toBe(0);
  });

  test('a later attempt waits for the notification and asks anew only when the period is over', async () => {
    const since = new Date();
    const asked = request(since);
    const failed = await failureOf(activity({ attempt: 2 }).run(() => provider().create(asked)));
    expect(failed).toMatchObject({ type: Cause.NotYetVisible, nonRetryable: false });
    expect(failed.message).toContain(
      `asked for anew at ${new Date(since.getTime() + SHORT.periodMs).toISOString().slice(0, 18)}`,
    );
    expect(failed.nextRetryDelay).toBeGreaterThanOrEqual(1_000);
    expect(amazon.seen.secretRequests).toBe(0);

    await sleep(since.getTime() + SHORT.periodMs + 50 - Date.now());
    await activity({ attempt: 3 }).run(() => provider().create(asked));
    expect(amazon.seen.secretsMade).toBe(1);
  });

  test('a notification that comes while a later attempt waits is taken', async () => {
    const asked = request();
    const waiting = activity({ attempt: 2 }).run(() => provider().create(asked));
    await sleep(1_500);
    await send(message(CLIENT_ID));
    expect((await waiting).id).toMatch(/^\d{4}-/);
    expect(amazon.seen.secretRequests).toBe(0);
  });

  test('of two answers the newer is taken, and both are removed when it is stored', async () => {
    const newest = `amzn1.oa2-cs.v1.${randomUUID()}`;
    await send(message(CLIENT_ID, new Date(Date.now() + 1_000), newest));
    await send(message(CLIENT_ID));
    const recovered = await recoveredBy(activity(), request());
    expect(recovered?.value).toBe(newest);
    await activity().run(async () => recovered?.stored?.());
    expect(await messages()).toEqual({ visible: 0, hidden: 0 });
  });

  test('no later attempt asks within ten minutes, and after that at most one in each ten minutes is let through', () => {
    const minutes = (count: number) => count * 60_000;
    const wait = (elapsed: number, attempt: number) => untilNextRequest(0, elapsed, attempt, PATIENCE);
    expect(wait(0, 1)).toBe(0);
    expect(wait(-5_000, 1)).toBe(0);
    expect(wait(0, 2)).toBe(minutes(10));
    expect(wait(minutes(1), 1)).toBe(minutes(9));
    expect(wait(minutes(9.5), 7)).toBe(minutes(0.5));
    expect(wait(minutes(10), 8)).toBe(0);
    expect(wait(minutes(11), 9)).toBe(minutes(9));
    expect(wait(minutes(20.5), 1)).toBe(0);
    expect(PATIENCE.sendWithinMs).toBeLessThan(1_000 / 0.0167);
  });
});

describe("others' messages", () => {
  test('are left in the queue, readable at once, and do not stand in the way', async () => {
    const left = [
      message('amzn1.application-oa2-client.another'),
      JSON.stringify({ notificationType: 'APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY', payload: {} }),
      'no JSON at all',
      JSON.stringify({ notificationType: 'APPLICATION_OAUTH_CLIENT_NEW_SECRET', payload: null }),
      ...Array.from({ length: 12 }, () => JSON.stringify({ notificationType: 'ORDER_CHANGE' })),
    ];
    for (const body of left) await send(body);

    const created = await activity().run(() => provider().create(request()));
    expect(amazon.accepts(created.value)).toBe(true);
    expect(await messages()).toEqual({ visible: left.length, hidden: 1 });
    await activity().run(async () => created.stored?.());
    expect(await messages()).toEqual({ visible: left.length, hidden: 0 });
  });

  test('are not received again and again while the answer is waited for', async () => {
    await send(JSON.stringify({ notificationType: 'ORDER_CHANGE' }));
    const failed = await failureOf(activity({ attempt: 2 }).run(() => provider().create(request())));
    expect(failed.type).toBe(Cause.NotYetVisible);
    const receives = entries.flatMap(({ outsideCalls }) => outsideCalls ?? []).filter(isReceive);
    expect(receives.length).toBeLessThanOrEqual(8);
  });

  test('two applications that share a queue get each its own secret', async () => {
    const otherId = 'amzn1.application-oa2-client.other';
    const other = await startFakeSellingPartnerApi({ sqs, queueUrl, clientId: otherId, clientSecret: 'other-secret' });
    try {
      const { endpoint, tokenUrl } = other;
      const theirs = createAmazonSpApiProvider(
        { ...plan, clientId: otherId, endpoint, tokenUrl },
        { clientSecret: 'other-secret' },
        sqs,
        'dev/api/other',
        { ...SHORT, attemptMs: 15_000 },
      );
      const ours = createAmazonSpApiProvider(plan, { clientSecret: currentSecret() }, sqs, ABOUT, {
        ...SHORT,
        attemptMs: 15_000,
      });
      const [a, b] = await Promise.all([
        activity().run(() => ours.create(request())),
        activity().run(() => theirs.create(request())),
      ]);
      expect([amazon.accepts(a.value), other.accepts(b.value)]).toEqual([true, true]);
    } finally {
      await other.stop();
    }
  });

  test('an older secret of the same application is no answer: it is left, and the failure says so', async () => {
    const older = message(CLIENT_ID, new Date(Date.now() - 3_600_000));
    await send(older);
    const failed = await failureOf(activity({ attempt: 2 }).run(() => provider().create(request())));
    expect(failed.message).toMatch(/The queue holds a new secret of this application from \d{4}-.*was left there/);
    expect(await bodiesInQueue()).toEqual([older]);
  });

  test('the notification that brought the current secret is no answer', async () => {
    await send(message(CLIENT_ID, new Date(), currentSecret()));
    expect(await recoveredBy(activity(), request())).toBeUndefined();
    expect(await messages()).toEqual({ visible: 1, hidden: 0 });
  });
});

function recoveredBy(attempt: ReturnType<typeof activity>, asked: ReturnType<typeof request>) {
  return attempt.run(async () => provider().recover?.(asked));
}

function isReceive(call: { operation: string }): boolean {
  return call.operation === 'ReceiveMessage';
}

describe('a refusal', () => {
  test('of the current secret ends the rotation without a request', async () => {
    const wrong = createAmazonSpApiProvider(plan, { clientSecret: 'oa2-cs-wrong' }, sqs, ABOUT, SHORT);
    const failed = await failureOf(activity().run(() => wrong.create(request())));
    expect(failed).toMatchObject({ type: Cause.CurrentCredentialRefused, nonRetryable: true });
    expect(amazon.seen.secretRequests).toBe(0);
  });

  test.each([
    [400, Cause.PermissionDenied, 'Application Client New Secret'],
    [403, Cause.PermissionDenied, 'region of this endpoint'],
    [429, Cause.Throttled, 'one new secret a minute'],
  ])('with %i is %s, and nothing was made', async (status, type, text) => {
    amazon.behaviour.refuseWith = [status];
    const failed = await failureOf(activity().run(() => provider().create(request())));
    expect(failed.type).toBe(type);
    expect(failed.message).toContain(text);
    expect(failed.nextRetryDelay).toBe(status === 429 ? 60_000 : undefined);
    expect(amazon.seen.secretsMade).toBe(0);
  });

  test('of a token with 429 or 500 proves nothing about a secret', async () => {
    amazon.behaviour.refuseTokensWith = [429, 500];
    const verify = () => activity().run(() => provider().verify({ value: currentSecret() }));
    expect(await failureOf(verify())).toMatchObject({ type: Cause.Throttled, nextRetryDelay: 3_000 });
    expect((await failureOf(verify())).type).toBe(Cause.TargetUnavailable);
    expect(await verify()).toBe('accepted');
  });

  test('of a connection proves nothing, and no secret was made', async () => {
    const nowhere = `http://${LOOPBACK}:${await freePort()}`;
    const verifies = provider({ tokenUrl: `${nowhere}/auth/o2/token` });
    const creates = provider({ endpoint: nowhere });
    expect((await failureOf(activity().run(() => verifies.verify({ value: currentSecret() })))).type).toBe(
      Cause.TargetUnavailable,
    );
    const failed = await failureOf(activity().run(() => creates.create(request())));
    expect(failed.type).toBe(Cause.TargetUnavailable);
    expect(failed.message).toContain('No new secret was made');
  });

  test('of the queue comes before a secret is asked for', async () => {
    const failed = await failureOf(
      activity().run(() => provider({ queueUrl: `${queueUrl}-missing` }).create(request())),
    );
    expect(failed).toMatchObject({ type: Cause.CatalogInvalid, nonRetryable: true });
    expect(failed.message).toContain(`${queueUrl}-missing`);
    expect(amazon.seen.tokenRequests).toBe(0);
  });
});

test('a cancelled wait ends at once and makes no further call', async () => {
  const waiting = activity({ attempt: 2 });
  const failed = failureOf(waiting.run(() => provider().create(request())));
  await sleep(1_500);
  const cancelledAt = Date.now();
  waiting.cancel('CANCELLED');
  expect(await failed).toBeInstanceOf(CancelledFailure);
  expect(Date.now() - cancelledAt).toBeLessThan(1_000);
});

test('every outside call is recorded under its system', async () => {
  const created = await activity().run(() => provider().create(request()));
  await activity().run(async () => created.stored?.());
  const calls = entries.flatMap(({ outsideCalls }) => outsideCalls ?? []);
  expect(new Set(calls.map(({ system, operation, outcome }) => `${system} ${operation} ${outcome}`))).toEqual(
    new Set([
      'sqs ReceiveMessage ok',
      'login-with-amazon POST token ok',
      'amazon-sp-api rotateApplicationClientSecret ok',
      'sqs DeleteMessage ok',
    ]),
  );
});
