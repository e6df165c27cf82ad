import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import type { Notification } from '../src/activities/notify/notifier';
import { loadCatalog } from '../src/catalog';
import { KeyturnSchedules } from '../src/client/schedules/schedule-client';
import { wantedSchedules } from '../src/client/schedules/wanted';
import type { NotifyPeopleResult } from '../src/rotation/notifications';
import type { WorkerProcess } from './lab/worker-process';
import { startHttpReceiver } from './testbed/receivers';
import type { HttpReceiver } from './testbed/receivers';
import { triggered } from './testbed/schedules';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const SIGNING_KEY = randomBytes(24).toString('hex');

let bed: Testbed;
let receiver: HttpReceiver;
let worker: WorkerProcess;
let scheduleIds: string[] = [];

beforeAll(async () => {
  bed = await openTestbed();
  receiver = await startHttpReceiver();
  bed.alsoStop(receiver);
  bed.alsoSecret(() => [SIGNING_KEY]);
  await bed.declare({
    a: { type: 'app-secret' },
    b: { type: 'app-secret' },
    busy: { type: 'app-secret' },
    gone: { type: 'app-secret' },
  });
  await bed.declareNotifications(notifications());
  worker = await bed.startWorker({ KEYTURN_NOTIFY_KEY: SIGNING_KEY });
  // Since then the worker has read the catalog.
  await bed.rotate('a');
  const wanted = wantedSchedules(await loadCatalog(bed.env['KEYTURN_CATALOG'] ?? ''), bed.taskQueue);
  const schedules = new KeyturnSchedules(bed.client.schedule, bed.taskQueue);
  await schedules.apply(wanted, await schedules.plan(wanted, bed.environment));
  scheduleIds = wanted.map(({ scheduleId }) => scheduleId);
});
beforeEach(() => {
  receiver.received.length = 0;
});
afterEach(async () => {
  for (const { body } of receiver.received) bed.alsoScan('a notification', body);
  await bed.declare({});
});
afterAll(async () => {
  await Promise.all(scheduleIds.map((id) => bed.client.schedule.getHandle(id).delete()));
  await bed.close();
});

const notifications = () => ({
  channels: { hook: { type: 'webhook', url: receiver.origin, signingKey: { env: 'KEYTURN_NOTIFY_KEY' } } },
  routes: [{ channels: ['hook'], environments: [bed.environment], events: ['refused'] }],
});

/** Has Temporal start what a schedule starts, and waits for its failure. */
async function failsByItself(name: string): Promise<{ type: string; message: string; runId: string }> {
  const { workflowId, runId } = await triggered(bed, `keyturn/${name}`);
  const { type, message } = await failureOf(bed.client.workflow.getHandle(workflowId, runId).result());
  return { type, message, runId };
}

const told = () => receiver.received.map(({ body }) => JSON.parse(body) as Notification);

async function metrics(): Promise<string[]> {
  const { metricsAddress } = await worker.ready;
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  return text.split('\n').filter((line) => line.includes(`environment="${bed.environment}"`));
}

const failuresMeasured = async (secret: string) =>
  (await metrics()).filter(
    (line) => line.startsWith('keyturn_rotation_failure_timestamp_seconds') && line.includes(`secret="${secret}"`),
  ).length;

/** The notification of a refusal, which is started before what was refused ends. */
function telling(about: string, of: string) {
  return bed.client.workflow.getHandle<() => Promise<NotifyPeopleResult>>(`notification/${about}/refused/${of}`);
}

const today = () => new Date().toISOString().slice(0, 10);

test('a catalog with a mistake fails every scheduled rotation for the alarms, and people are told once', async () => {
  await bed.writeCatalog('environments: [');
  const { environment } = bed;
  const day = today();
  for (const name of [`rotation/${environment}/a`, `rotation/${environment}/b`, `environment/${environment}`]) {
    expect((await failsByItself(name)).type).toBe('RotationRefused');
  }
  expect((await failsByItself(`ages/${environment}`)).type).toBe('AgeCheckFailed');
  expect((await failsByItself(`review/${environment}`)).type).toBe('ReviewFailed');
  expect((await failureOf(bed.rotate('b'))).type).toBe('RotationRefused');

  const notification = await until('people are told', async () => told()[0]);
  expect(notification).toMatchObject({
    event: 'refused',
    severity: 'warning',
    environment,
    next: `keyturn plan ${environment}`,
    message: expect.stringMatching(/^Nothing of \S+ can be rotated, .*keyturn\.yaml:1:/s) as string,
  });
  expect(notification).not.toHaveProperty('secret');
  expect(await telling(environment, `catalog/${day}`).result()).toEqual({ sent: ['hook'], notSent: [] });
  // One more where midnight has come meanwhile.
  expect(receiver.received.length).toBeLessThanOrEqual(day === today() ? 1 : 2);
  expect([await failuresMeasured('a'), await failuresMeasured('b')]).toEqual([1, 1]);
  expect(await metrics()).toContainEqual(expect.stringMatching(/^keyturn_fleets\{.*outcome="refused".*\} 1$/));
});

test('a scheduled rotation that is refused for a reason of its own is measured, and people are told of the secret', async () => {
  const environments = { [bed.environment]: { secrets: { a: { type: 'app-secret' } } } };
  await bed.writeCatalog(stringify({ environments, notifications: notifications() }));
  const { message, runId } = await failsByItself(`rotation/${bed.environment}/gone`);
  expect(message).toContain('declares no secret "gone"');
  expect(await telling(bed.secrets.idOf('gone'), runId).result()).toEqual({ sent: ['hook'], notSent: [] });
  expect(told()).toMatchObject([{ event: 'refused', severity: 'warning', secret: 'gone', message }]);
  expect(await failuresMeasured('gone')).toBe(1);
});

test('a scheduled rotation that finds the secret being rotated is told to nobody, and is no failure', async () => {
  const point = { secretId: bed.secrets.idOf('busy'), step: 'promote', when: 'before' } as const;
  await bed.secrets.create('busy', 'first-value-of-busy');
  await bed.pauses.stopAt(point);
  const running = await bed.start('busy');
  await bed.pauses.reached(point);
  const { message, runId } = await failsByItself(`rotation/${bed.environment}/busy`);
  expect(message).toContain('Follow it with keyturn status');
  await expect(telling(bed.secrets.idOf('busy'), runId).describe()).rejects.toThrow('not found');
  await bed.pauses.goOn(point);
  await running.result();
  expect(await failuresMeasured('busy')).toBe(0);
});

test('people are told once a day that ages cannot be looked at, and nobody is when nobody is to be', async () => {
  const { client, taskQueue } = bed;
  const environment = `no-${bed.environment}`;
  const check = (input: object) =>
    failureOf(
      client.workflow.execute('checkSecretAges', {
        taskQueue,
        workflowId: `ages-${randomBytes(4).toString('hex')}`,
        args: [{ environment, requestedBy: 'tester', ...input }],
      }),
    );
  const day = today();
  const handle = telling(environment, `ages/${day}`);
  await check({ tell: false });
  await check({ limit: 'soon' });
  await expect(handle.describe()).rejects.toThrow('not found');
  await check({});
  const { runId } = await handle.describe();
  await check({});
  expect((await handle.describe()).runId).toBe(runId);
});
