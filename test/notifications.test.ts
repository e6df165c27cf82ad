import { randomBytes } from 'node:crypto';
import type { Notification } from '../src/activities/notify/notifier';
import type { WorkerProcess } from './lab/worker-process';
import { createApiKey } from './testbed/api-keys';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { startFakeKeyService } from './testbed/fake-key-service';
import { startHttpReceiver } from './testbed/receivers';
import type { HttpReceiver } from './testbed/receivers';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const SIGNING_KEY = randomBytes(24).toString('hex');

let bed: Testbed;
let receiver: HttpReceiver;
let dependent: TestDependent;
let worker: WorkerProcess;

beforeAll(async () => {
  bed = await openTestbed({ rollbackTimeout: '5 seconds' });
  [receiver, dependent] = await Promise.all([startHttpReceiver(), startDependent('shop', '1 second')]);
  bed.alsoStop(receiver);
  bed.alsoStop(dependent);
  bed.alsoSecret(() => [SIGNING_KEY]);
  await bed.declare({
    app: { type: 'app-secret' },
    used: { type: 'app-secret', dependents: [dependent.declaration] },
  });
  await bed.secrets.create('used', randomBytes(24).toString('hex'));
  worker = await bed.startWorker({ KEYTURN_NOTIFY_KEY: SIGNING_KEY });
});
beforeEach(async () => {
  receiver.answer(200);
  receiver.received.length = 0;
  dependent.answer(200);
  await routes([{ channels: ['hook'], environments: [bed.environment] }]);
});
afterEach(() => {
  for (const { body } of receiver.received) bed.alsoScan('a notification', body);
});
afterAll(() => bed.close());

function routes(declared: unknown[]): Promise<void> {
  const channel = (path: string) => ({
    type: 'webhook',
    url: `${receiver.origin}${path}`,
    signingKey: { env: 'KEYTURN_NOTIFY_KEY' },
  });
  return bed.declareNotifications({ channels: { hook: channel('/'), other: channel('/other') }, routes: declared });
}

const told = () => receiver.received.map(({ body }) => JSON.parse(body) as Notification);
const eventsTold = () => told().map(({ event }) => event);
const isTold = (...events: string[]) =>
  until(`people are told of ${events.join(', ')}`, async () => eventsTold().length >= events.length).then(() =>
    expect(eventsTold()).toEqual(events),
  );

test('people are told that a rotation has started, and that it is done', async () => {
  const handle = await bed.start('app', { reason: 'quarterly' });
  await handle.result();
  await isTold('rotation-started', 'rotated');
  const run = { workflowId: handle.workflowId, runId: handle.firstExecutionRunId };
  const common = { environment: bed.environment, secret: 'app', severity: 'info', ...run };
  expect(told()).toEqual([
    expect.objectContaining({
      ...common,
      message: expect.stringContaining('requested by tester: quarterly') as string,
    }),
    expect.objectContaining({ ...common, message: `${bed.environment}/app was rotated.` }),
  ]);
});

test('people are told why a rotation was rolled back, and what to type', async () => {
  dependent.answer(() => Promise.resolve(dependent.asked % 2 === 0 ? 200 : 503));
  const { message } = await failureOf(bed.rotate('used'));
  await isTold('rotation-started', 'rolled-back');
  expect(told()[1]).toMatchObject({
    severity: 'warning',
    message,
    next: `keyturn rotate ${bed.environment}/used`,
    runbook: 'docs/runbooks/rolled-back.md',
  });
});

test('people are told at once, as critical, that something is left to do by hand', async () => {
  dependent.answer(503);
  const { message } = await failureOf(bed.rotate('used'));
  await isTold('rotation-started', 'rollback-incomplete');
  expect(told()[1]).toMatchObject({ severity: 'critical', message });
});

test('people are told of a refusal, with a plan and without one', async () => {
  await failureOf(bed.rotate('app', {}, 'rotateDatabaseCredential'));
  await failureOf(bed.rotate('undeclared'));
  await isTold('refused', 'refused');
  expect(told()[1]?.message).toContain('declares no secret "undeclared"');
});

test('people are told of an abort by whom', async () => {
  const point = { secretId: bed.secrets.idOf('app'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start('app');
  await bed.pauses.reached(point);
  await handle.signal('abort', { reason: 'wrong day', requestedBy: 'night shift' });
  await bed.pauses.goOn(point);
  await handle.result();
  await isTold('rotation-started', 'aborted');
  expect(told()[1]?.message).toContain('aborted by night shift (wrong day)');
});

test('people are told that an emergency rotation replaced what leaked, and of no other that it did', async () => {
  const emergencies: unknown[] = [];
  for (const [input, workflow] of [[{}], [{ emergency: true }], [{ emergency: true }, 'rollbackSecret']] as const) {
    receiver.received.length = 0;
    await bed.rotate('app', input, workflow);
    await until('people are told of its end', async () => eventsTold().includes('rotated'));
    emergencies.push(told().find(({ event }) => event === 'rotated')?.emergency);
  }
  expect(emergencies).toEqual([undefined, true, undefined]);
});

test('nobody is told of a dry run', async () => {
  await bed.rotate('app', { dryRun: true });
  await bed.rotate('app');
  await isTold('rotation-started', 'rotated');
});

test('a reminder of a grace period goes by the routes too', async () => {
  const service = await startFakeKeyService();
  bed.alsoStop(service);
  bed.alsoSecret(() => service.everyValue());
  await createApiKey(bed, service, 'key', { gracePeriod: '3602 seconds' });
  await routes([{ channels: ['hook'], events: ['grace-ending'] }]);
  const handle = await bed.start('key');
  await isTold('grace-ending');
  expect(told()[0]?.next).toBe(`keyturn extend ${bed.environment}/key --by '1 day'`);
  await handle.signal('abort');
  await handle.result();
});

test('routes choose by environment, event and severity, and a channel is told once', async () => {
  await routes([
    { channels: ['hook'], events: ['rotated'] },
    { channels: ['hook', 'other'], events: ['rotated', 'overdue'] },
    { channels: ['other'], severity: 'warning' },
    { channels: ['other'], environments: [bed.environment], severity: 'critical' },
  ]);
  await bed.rotate('app');
  await until('both are told', async () => receiver.received.length === 2);
  await failureOf(bed.rotate('undeclared'));
  await until('the other is told', async () => receiver.received.length === 3);
  expect(receiver.received.map(({ path }) => path).sort()).toEqual(['/', '/other', '/other']);
});

/** Has a rotation done while its channel answers nothing, and gives the IDs of what was tried. */
async function tryInVain(): Promise<Set<unknown>> {
  receiver.answer('nothing');
  const began = Date.now();
  await bed.rotate('app');
  expect(Date.now() - began).toBeLessThan(8_000);
  await until('both are tried', async () => new Set(eventsTold()).size === 2);
  return idsTold();
}

const idsTold = () => new Set(told().map(({ id }) => id));

/** Lets the channel work again, and gives the IDs of what it is told then. */
async function toldLater(): Promise<Set<unknown>> {
  receiver.received.length = 0;
  receiver.answer(200);
  await until('it is told', async () => new Set(eventsTold()).size === 2);
  return idsTold();
}

test('a rotation waits for no channel: when all are down it ends as soon as ever, and people are told later', async () => {
  const tried = await tryInVain();
  expect(tried.size).toBe(2);
  expect(await toldLater()).toEqual(tried);
  expect(receiver.received).toHaveLength(2);
});

test('a worker is killed while it tells people: they are told all the same, under the same ID', async () => {
  const tried = await tryInVain();
  await worker.kill();
  worker = await bed.startWorker({ KEYTURN_NOTIFY_KEY: SIGNING_KEY });
  expect(await toldLater()).toEqual(tried);
});
