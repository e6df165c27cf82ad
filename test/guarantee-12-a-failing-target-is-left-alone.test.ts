import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest } from './testbed/aws-wire';
import { createSubject, KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

let bed: Testbed;
let aws: FaultProxy;
let awsTap: WireTap;
const taps: WireTap[] = [];

beforeAll(async () => {
  bed = await openTestbed();
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  awsTap = await startWireTap(aws.port);
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${awsTap.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  for (const tap of [awsTap, ...taps]) await tap.stop();
  await aws.stop();
});

async function newPostgresTap(): Promise<WireTap> {
  const tap = await startWireTap(bed.databases.port);
  taps.push(tap);
  return tap;
}

const ROTATIONS = 12;
/** Long enough for five attempts of a rotation that is on its own: within its workflow task, at once, and after 1, 2 and 4 seconds. */
const WATCHED_MS = 9_000;
const ATTEMPTS_EACH = 5;

const TARGETS = {
  PostgreSQL: { kind: 'single-user', tap: newPostgresTap, requestsPerAttempt: 1 },
  // The SDK makes three attempts of its own.
  'Secrets Manager': { kind: 'app-secret', tap: () => Promise.resolve(awsTap), requestsPerAttempt: 3 },
} as const satisfies Record<string, { kind: Kind; tap(): Promise<WireTap>; requestsPerAttempt: number }>;

test.each(Object.keys(TARGETS) as (keyof typeof TARGETS)[])(
  '%s, when it keeps failing, is left alone by all rotations that need it, and they finish once it answers',
  async (target) => {
    const { kind, tap: tapOf, requestsPerAttempt } = TARGETS[target];
    const tap = await tapOf();
    const subjects = await Promise.all(
      Array.from({ length: ROTATIONS }, (_, index) =>
        createSubject(bed, kind, `left-alone/${kind}-${index}`, {}, { port: tap.port }),
      ),
    );
    tap.mode = 'hang-up';
    const before = tap.connections.length;
    const handles = await Promise.all(subjects.map(({ secret }) => bed.start(secret)));
    await delay(WATCHED_MS);
    const knocks = tap.connections.length - before;
    tap.mode = 'pass';

    expect(knocks).toBeGreaterThan(0);
    expect(knocks).toBeLessThan((ROTATIONS * ATTEMPTS_EACH * requestsPerAttempt) / 2);
    for (const handle of handles) expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    for (const { opens } of subjects) expect(await opens()).toBe(true);
  },
);

/** The pauses between times, in seconds. */
const pausesOf = (times: number[]) => times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / 1_000);

test('what fails is tried again after longer and longer pauses, and throttling is met by fewer requests', async () => {
  const throttled = await createSubject(bed, 'app-secret', 'backoff/throttled');
  const tap = await newPostgresTap();
  const refused = await createSubject(bed, 'single-user', 'backoff/refused', {}, { port: tap.port });
  const calls = new Map<string, number>();
  let requests = 0;
  let over = false;
  aws.answerWith(
    (bytes) => {
      const { body, invocation } = awsRequest(bytes);
      if (over || body['SecretId'] !== bed.secrets.idOf(throttled.secret)) return false;
      requests += 1;
      if (!calls.has(invocation)) calls.set(invocation, Date.now());
      return true;
    },
    awsErrorResponse('ThrottlingException', 'Rate exceeded'),
    Infinity,
  );
  tap.mode = 'hang-up';
  const handles = await Promise.all([bed.start(throttled.secret), bed.start(refused.secret)]);
  const attempts = () => Math.min(calls.size, tap.connections.length);
  await until('five attempts', () => Promise.resolve(attempts() >= ATTEMPTS_EACH));
  over = true;
  tap.mode = 'pass';

  // The first comes right after the one that was made within the workflow's task.
  const [, ...throttledPauses] = pausesOf([...calls.values()]);
  for (const [index, least] of [0.9, 1.8, 3.6].entries()) expect(throttledPauses[index]).toBeGreaterThan(least);
  expect(requests).toBeLessThanOrEqual(3 * calls.size);
  const [, ...refusedPauses] = pausesOf(tap.connections.map(({ openedAt }) => openedAt));
  for (const [index, least] of [0.9, 1.8, 3.6].entries()) expect(refusedPauses[index]).toBeGreaterThan(least);
  for (const handle of handles) expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
});

/** More than one worker runs activities at the same time. */
const STUCK = 45;

test('targets that do not answer and secrets that cannot be used hold up no other rotation of the worker', async () => {
  const tap = await newPostgresTap();
  tap.mode = 'silent';
  const password = randomBytes(12).toString('hex');
  const login = { engine: 'postgres', dbname: 'app', username: 'app', password, sslmode: 'disable' };
  const database = { type: 'database', strategy: 'single-user', sslmode: 'disable' } as const;
  const unusable: Record<string, string> = {
    'stuck/no-json': password,
    'stuck/no-login': JSON.stringify({ engine: 'postgres', password }),
    'stuck/no-host': JSON.stringify({ ...login, host: 'there-is-no.invalid', port: 5432 }),
  };
  for (let index = 0; index < STUCK; index += 1) {
    unusable[`stuck/silent-${index}`] = JSON.stringify({ ...login, host: '127.0.0.1', port: tap.port });
  }
  const names = Object.keys(unusable);
  await Promise.all(names.map((name) => bed.secrets.create(name, unusable[name] ?? '')));
  await bed.declare(Object.fromEntries(names.map((name) => [name, database])));
  const good = await Promise.all(KINDS.map((kind) => createSubject(bed, kind, `unhindered/${kind}`)));

  const stuck = await Promise.all(names.map((name) => bed.start(name)));
  const durations: number[] = [];
  for (const { secret, opens } of good) {
    const startedAt = Date.now();
    expect(await bed.rotate(secret)).toMatchObject({ outcome: 'rotated' });
    durations.push(Date.now() - startedAt);
    expect(await opens()).toBe(true);
  }
  // The first may have to wait for those that wait for the silent one: no longer than a login may take.
  expect(Math.max(...durations)).toBeLessThan(20_000);
  await Promise.all(stuck.map((handle) => handle.terminate().catch(() => undefined)));
});
