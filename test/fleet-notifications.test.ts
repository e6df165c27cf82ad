import { randomBytes } from 'node:crypto';
import type { Notification } from '../src/activities/notify/notifier';
import type { FleetEntry, FleetReport } from '../src/rotation/fleet';
import { fleetNotification } from '../src/rotation/fleet-telling';
import { fleetOf } from './testbed/fleets';
import { startHttpReceiver } from './testbed/receivers';
import type { HttpReceiver } from './testbed/receivers';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const SIGNING_KEY = randomBytes(24).toString('hex');

let bed: Testbed;
let receiver: HttpReceiver;

beforeAll(async () => {
  bed = await openTestbed();
  receiver = await startHttpReceiver();
  bed.alsoStop(receiver);
  bed.alsoSecret(() => [SIGNING_KEY]);
  await bed.secrets.create('broken', 'not JSON at all');
  await bed.declare({
    app: { type: 'app-secret' },
    another: { type: 'app-secret' },
    broken: { type: 'database', strategy: 'single-user' },
  });
  await bed.declareNotifications({
    channels: { hook: { type: 'webhook', url: receiver.origin, signingKey: { env: 'KEYTURN_NOTIFY_KEY' } } },
    routes: [{ channels: ['hook'], events: ['fleet-report'] }],
  });
  await bed.startWorker({ KEYTURN_NOTIFY_KEY: SIGNING_KEY });
});
beforeEach(() => {
  receiver.answer(200);
  receiver.received.length = 0;
});
afterEach(() => {
  for (const { body } of receiver.received) bed.alsoScan('a notification', body);
});
afterAll(() => bed.close());

const told = async (): Promise<Notification> => {
  await until('people are told', async () => receiver.received.length === 1);
  return JSON.parse(receiver.received[0]?.body ?? '{}') as Notification;
};

test('a dry run of a fleet is told to nobody', async () => {
  const { succeeded, failed } = await fleetOf(bed).rotate({ dryRun: true });
  expect(succeeded + failed).toBe(4);
  expect(await toldOfLatest()).toBe(false);
});

test('a fleet with failures in it ends with one warning that names what failed, and why', async () => {
  const handle = await fleetOf(bed).start({ reason: 'quarterly' });
  const { failed, succeeded } = (await handle.result()) as FleetReport;
  expect({ failed, succeeded }).toEqual({ failed: 1, succeeded: 3 });
  expect(await told()).toMatchObject({
    event: 'fleet-report',
    severity: 'warning',
    environment: bed.environment,
    workflowId: fleetOf(bed).workflowId,
    runId: handle.firstExecutionRunId,
    runbook: 'docs/runbooks/fleet-report.md',
    message: expect.stringMatching(
      /4 secrets, 3 succeeded, 1 failed, 0 skipped\. Failed: broken \(refused: SecretUnusable, .*\)\.$/,
    ) as string,
  });
});

test('a fleet without failures ends with one for information', async () => {
  await fleetOf(bed).rotate({ types: ['app-secrets'], emergency: true });
  const { severity, message } = await told();
  expect(severity).toBe('info');
  expect(message).toMatch(/: 3 secrets, 3 succeeded, 0 failed, 0 skipped\.$/);
});

test('a fleet for which nothing was due is told to nobody', async () => {
  const { skipped, total } = await fleetOf(bed).rotate({ types: ['app-secrets'], due: true });
  expect(skipped).toBe(total);
  expect(await toldOfLatest()).toBe(false);
});

test('a fleet that ends while every channel is down ends all the same', async () => {
  receiver.answer('nothing');
  const { succeeded } = await fleetOf(bed).rotate({ types: ['app-secrets'], emergency: true });
  expect(succeeded).toBe(3);
  await until('it is tried', async () => receiver.received.length > 0);
  receiver.received.length = 0;
  receiver.answer(200);
  expect((await told()).event).toBe('fleet-report');
});

test('a notification of hundreds of failures names ten and how many more', () => {
  const secrets = Array.from({ length: 300 }, (_, n): FleetEntry => ({
    secret: `database/${n}`,
    type: 'database',
    outcome: 'rolled-back',
    cause: { type: 'TargetUnavailable', message: 'x'.repeat(300) },
  }));
  const counts = { total: 300, succeeded: 0, failed: 300, skipped: 0, notStarted: 12 };
  const stopped = '5 rotations in a row failed: database/1';
  const report = { environment: 'dev', types: ['all' as const], startedAt: '', endedAt: '', secrets, stopped };
  const { message = '' } = fleetNotification({ ...report, ...counts }) ?? {};
  expect(message).toContain('12 not started. It started no more: 5 rotations in a row failed: database/1. Failed:');
  expect(message).toMatch(/; and 290 more\.$/);
  expect(message.length).toBeLessThan(3_000);
});

test('a fleet that left secrets where they were is a warning, though none failed', () => {
  const counts = { total: 3, succeeded: 1, failed: 0, skipped: 0, notStarted: 2 };
  const report = { environment: 'dev', types: ['all' as const], startedAt: '', endedAt: '', secrets: [] };
  expect(fleetNotification({ ...report, ...counts, stopped: 'aborted by ann' })?.severity).toBe('warning');
  expect(fleetNotification({ ...report, ...counts, notStarted: 0 })?.severity).toBe('info');
});

/** Whether the fleet that ended last has had people told: a notification is started before its fleet ends. */
async function toldOfLatest(): Promise<boolean> {
  const { runId } = await fleetOf(bed).handle().describe();
  const telling = bed.client.workflow.getHandle(`notification/${bed.environment}/fleet-report/${runId}`);
  return telling.describe().then(
    () => true,
    () => false,
  );
}
