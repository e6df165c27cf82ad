import { randomBytes } from 'node:crypto';
import type { Notification } from '../src/activities/notify/notifier';
import type { FailuresFound, ReviewInput, ReviewReport } from '../src/rotation/review';
import { startHttpReceiver } from './testbed/receivers';
import type { HttpReceiver } from './testbed/receivers';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const SIGNING_KEY = randomBytes(24).toString('hex');

let bed: Testbed;
/** Who is to be told first, and second. */
let receivers: [HttpReceiver, HttpReceiver];
let reviews = 0;

beforeAll(async () => {
  bed = await openTestbed();
  receivers = await Promise.all([startHttpReceiver(), startHttpReceiver()]);
  receivers.forEach((receiver) => bed.alsoStop(receiver));
  bed.alsoSecret(() => [SIGNING_KEY]);
  await bed.declare({ absent: { type: 'database', strategy: 'single-user' } });
  await bed.startWorker({ KEYTURN_NOTIFY_KEY: SIGNING_KEY });
});
afterAll(() => bed.close());

function tellBoth(): Promise<void> {
  const [first, second] = receivers.map(({ origin }) => ({
    type: 'webhook',
    url: `${origin}/`,
    signingKey: { env: 'KEYTURN_NOTIFY_KEY' },
  }));
  const routes = [{ channels: ['first', 'second'], events: ['review-due'] }];
  return bed.declareNotifications({ channels: { first, second }, routes });
}

/** Starts what a schedule starts. */
function startReview(input: Partial<ReviewInput> = {}) {
  return bed.client.workflow.start<(input: ReviewInput) => Promise<ReviewReport>>('reviewEnvironment', {
    workflowId: `review-${bed.environment}-${++reviews}`,
    taskQueue: bed.taskQueue,
    args: [{ environment: bed.environment, covers: 'inherited', requestedBy: 'tester', ...input }],
  });
}
const review = async (input?: Partial<ReviewInput>) => (await startReview(input)).result();

const fails = () => failureOf(bed.rotate('absent'));
const failures = ({ failures: found }: ReviewReport) => (found as FailuresFound).failures;
const answerWith = (...answers: [number, number]) => {
  receivers.forEach((receiver, n) => {
    receiver.answer(answers[n] ?? 200);
    receiver.received.length = 0;
  });
};
const toldOf = () => receivers.flatMap(({ received }) => received.map(({ body }) => JSON.parse(body) as Notification));

test('a review that every channel refused is made up for by the next one that somebody is told of', async () => {
  await tellBoth();
  const heard = await review();
  expect(heard.told).toBe(true);
  await fails();
  answerWith(410, 403);
  const refused = await review();
  expect(refused).toMatchObject({ told: false, begins: 'at-the-last-review', since: heard.until });
  expect(failures(refused)).toBe(1);
  await fails();
  const refusedAgain = await review();
  expect(refusedAgain).toMatchObject({ told: false, since: heard.until });

  answerWith(200, 403);
  const next = await review();
  expect(next).toMatchObject({ told: true, begins: 'at-the-last-review', since: heard.until });
  expect(failures(next)).toBe(2);
  expect(toldOf()[0]?.message).toContain('failed rotations: 2: absent');
  const after = await review();
  expect(after).toMatchObject({ told: true, since: next.until });
  expect(failures(after)).toBe(0);
});

test('while every channel is down a review waits, and has been heard of when one works again', async () => {
  answerWith(503, 503);
  const handle = await startReview();
  await until('both were tried twice', () => Promise.resolve(receivers.every(({ received }) => received.length > 1)));
  expect((await handle.describe()).status.name).toBe('RUNNING');
  answerWith(200, 200);
  const { told, until: end } = await handle.result();
  expect(told).toBe(true);
  expect(await review()).toMatchObject({ since: end });
});

test('one that moves nothing on waits for no channel', async () => {
  answerWith(503, 503);
  expect(await review({ covers: 'all' })).toMatchObject({ told: true });
  answerWith(200, 200);
  await until('people are told later', () => Promise.resolve(toldOf().length >= 2));
});

test('a review that is cancelled while it waits ends at once, and is owed', async () => {
  const last = await review();
  answerWith(503, 503);
  const handle = await startReview();
  await until('somebody is being told', () => Promise.resolve(receivers.every(({ received }) => received.length > 0)));
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  answerWith(200, 200);
  await until('people are told all the same', () => Promise.resolve(toldOf().length >= 2));
  expect(await review()).toMatchObject({ since: last.until });
});

test('where the catalog names nobody to be told, nothing is owed', async () => {
  await bed.declareNotifications({
    channels: { log: { type: 'log' } },
    routes: [{ channels: ['log'], events: ['rotated'] }],
  });
  const first = await review();
  expect(first.told).toBe(true);
  expect(await review()).toMatchObject({ since: first.until });
});
