import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ScheduleDescription, ScheduleHandle } from '@temporalio/client';
import { Client, Connection } from '@temporalio/client';
import { stringify } from 'yaml';
import { loadCatalog } from '../src/catalog';
import type { PlannedSchedule } from '../src/client/schedules/plan';
import { KeyturnSchedules } from '../src/client/schedules/schedule-client';
import { wantedSchedules } from '../src/client/schedules/wanted';
import { usageWorkflowId } from '../src/rotation/usage';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

interface Schedules {
  schedules: (PlannedSchedule & { failure?: string })[];
}

type Secrets = Record<string, Record<string, unknown>>;

const TEMPORAL = process.env.LAB_TEMPORAL_BIN;
if (!TEMPORAL && process.env.CI === 'true') throw new Error('There is no Temporal CLI, which these tests need.');
const withTemporalCli = TEMPORAL ? test : test.skip;

const APP = { type: 'app-secret' as const };

let bed: Testbed;
let cli: Cli;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
});
afterAll(async () => {
  await declared({}, { review: 'off', schedules: { weeklyRun: 'never', ageCheck: 'never' } });
  await cli.run(['apply']);
  await cli.stop();
  await bed.close();
});

function declared(secrets: Secrets, policy: object = {}): Promise<void> {
  return bed.writeCatalog(stringify({ environments: { [bed.environment]: { ...policy, secrets } } }));
}

const idOf = (secret: string) => `keyturn/rotation/${bed.environment}/${secret}`;
const weeklyRun = () => `keyturn/environment/${bed.environment}`;
const ageCheck = () => `keyturn/ages/${bed.environment}`;
const review = () => `keyturn/review/${bed.environment}`;
const schedule = (secret: string): ScheduleHandle => bed.client.schedule.getHandle(idOf(secret));

/** What is done with which schedule. */
function deeds({ schedules }: Schedules): Record<string, string> {
  return Object.fromEntries(schedules.map(({ scheduleId, does }) => [scheduleId, does]));
}

async function applied(): Promise<Schedules> {
  const { ok, result, error } = await cli.json<Schedules>(['apply']);
  if (!ok) throw new Error(error.message);
  return result;
}

/** All of a schedule that an operator can have set. */
async function settingsOf(handle: ScheduleHandle): Promise<Partial<ScheduleDescription>> {
  const { spec, action, policies, state, memo, info } = await handle.describe();
  return { spec, action, policies, state, memo, info: { ...info, nextActionTimes: [] } };
}

/** Runs Temporal's own command line against the lab's server. */
async function temporal(...argv: string[]): Promise<string> {
  const env = { HOME: '/nonexistent', PATH: process.env.PATH, ...bed.env };
  return (await promisify(execFile)(TEMPORAL ?? 'temporal', argv, { env })).stdout;
}

test('plan shows what apply would create and the policy in force, and changes nothing; apply creates it', async () => {
  await declared(
    { jwt: APP, 'web/session': { ...APP, schedule: { cron: '30 3 1 * *' } } },
    { schedules: { timeZone: 'Europe/Berlin' } },
  );
  const { code, stdout, stderr } = await cli.run(['plan']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [heading, policy, , ...lines] = stdout.trimEnd().split('\n');
  expect(heading).toMatch(/^ENVIRONMENT +MAX AGE +ROTATED EVERY +REVIEW +WEEKLY RUN +TIME ZONE +JITTER +CATCH-UP$/);
  expect(policy?.split(/ {2,}/)).toEqual([
    bed.environment,
    'by type',
    'by type',
    'monthly',
    '0 2 * * MON',
    'Europe/Berlin',
    '1 h',
    '1 d',
  ]);
  expect(lines).toEqual([
    `+ create ${weeklyRun()}  0 2 * * MON in Europe/Berlin`,
    expect.stringMatching(new RegExp(`^\\+ create ${idOf('jwt')}  every 180 d \\(.+ into each\\)$`)),
    `+ create ${idOf('web/session')}  30 3 1 * * in Europe/Berlin`,
    `+ create ${ageCheck()}  0 6 * * * in Europe/Berlin`,
    `+ create ${review()}  0 2 * * MON#1 in Europe/Berlin`,
    '5 to create.',
  ]);
  await expect(schedule('jwt').describe()).rejects.toThrow('not found');

  expect(await cli.run(['plan', '--check'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('5 schedules are not as the catalog says'),
  });
  expect((await cli.run(['apply'])).stdout).toContain('5 created.');
  expect(await cli.run(['plan', bed.environment, '--check'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('5 as they should be.'),
  });
  expect(await settingsOf(schedule('jwt'))).toMatchObject({
    action: {
      workflowType: 'rotate',
      workflowId: `scheduled/rotation/${bed.environment}/jwt`,
      taskQueue: bed.taskQueue,
      args: [{ environment: bed.environment, secret: 'jwt', requestedBy: 'schedule' }],
      staticSummary: `Rotate ${bed.environment}/jwt as scheduled`,
    },
    policies: { overlap: 'SKIP', catchupWindow: 86_400_000 },
    memo: { keyturnTaskQueue: bed.taskQueue },
    state: { paused: false },
  });
});

test('a second apply writes nothing, and a change of the catalog writes only what differs', async () => {
  const connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] });
  const { workflowService } = connection;
  const writes = {
    create: jest.spyOn(workflowService, 'createSchedule'),
    update: jest.spyOn(workflowService, 'updateSchedule'),
    delete: jest.spyOn(workflowService, 'deleteSchedule'),
    patch: jest.spyOn(workflowService, 'patchSchedule'),
  };
  try {
    const client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] });
    const keyturn = new KeyturnSchedules(client.schedule, bed.taskQueue);
    const apply = async () => {
      const wanted = wantedSchedules(await loadCatalog(bed.env['KEYTURN_CATALOG'] ?? ''), bed.taskQueue);
      await keyturn.apply(wanted, await keyturn.plan(wanted));
      return Object.entries(writes).flatMap(([name, spy]) => {
        const times = spy.mock.calls.length;
        spy.mockClear();
        return times > 0 ? [`${name} ${times}`] : [];
      });
    };
    await declared({ a: APP, b: APP, c: APP });
    await apply();
    expect(await apply()).toEqual([]);
    await declared({ a: APP, b: { ...APP, schedule: { every: '20 days' } }, c: APP });
    expect(await apply()).toEqual(['update 1']);
    expect(await apply()).toEqual([]);
  } finally {
    await connection.close();
  }
});

test('a change is shown field by field, and keeps the pause of an operator', async () => {
  await declared({ a: { ...APP, schedule: { every: '30 days' } } });
  await applied();
  await schedule('a').pause('INC-1234: not before Monday');
  const before = await schedule('a').describe();
  await declared({ a: { ...APP, schedule: { cron: '0 4 * * SUN', timeZone: 'Asia/Tokyo', jitter: '10 minutes' } } });
  const planned = await cli.run(['plan']);
  expect(planned.stdout).toContain(
    `~ change ${idOf('a')}  0 4 * * SUN in Asia/Tokyo  (stays paused by an operator: INC-1234: not before Monday)\n`,
  );
  expect(planned.stdout).toMatch(/^ {4}runs: every 30 d \(.+ into each\) → 0 4 \* \* SUN$/m);
  expect(planned.stdout).toMatch(/^ {4}time zone: UTC → Asia\/Tokyo$/m);
  expect(planned.stdout).toMatch(/^ {4}jitter: 1 h → 10 min$/m);
  expect(planned.stdout).not.toContain('by hand');
  await applied();
  const after = await schedule('a').describe();
  expect(after.state).toEqual(before.state);
  expect(after.spec).toMatchObject({ timezone: 'Asia/Tokyo', jitter: 600_000 });
  const kept = await applied();
  expect(deeds(kept)).toEqual({
    [weeklyRun()]: 'nothing',
    [ageCheck()]: 'nothing',
    [review()]: 'nothing',
    [idOf('a')]: 'nothing',
  });
  expect((await schedule('a').describe()).state).toEqual(before.state);
  await schedule('a').unpause();
});

test('the catalog can pause a schedule, and ends its own pause but no other', async () => {
  await declared({ a: { ...APP, schedule: { paused: true } }, b: { ...APP, schedule: { paused: true } } });
  await applied();
  expect((await schedule('a').describe()).state).toMatchObject({ paused: true, note: 'The catalog says paused: true' });
  await schedule('b').unpause();
  await schedule('b').pause('by ada');
  await declared({ a: APP, b: APP });
  const { schedules } = await applied();
  expect(schedules.find(({ scheduleId }) => scheduleId === idOf('a'))?.changes).toEqual([
    { field: 'paused', from: 'yes', to: 'no' },
  ]);
  expect((await schedule('a').describe()).state.paused).toBe(false);
  expect((await schedule('b').describe()).state).toMatchObject({ paused: true, note: 'by ada' });
});

test('what somebody changed by hand is named and changed back', async () => {
  await declared({ a: APP });
  await applied();
  const before = await settingsOf(schedule('a'));
  await schedule('a').update(({ spec, ...previous }) => ({
    ...previous,
    spec: { ...spec, jitter: 0, endAt: new Date('2030-01-01T00:00:00Z') },
  }));
  const { stdout } = await cli.run(['plan']);
  expect(stdout).toContain('    somebody changed it by hand since the last apply; it is changed back\n');
  expect(stdout).toMatch(/^ {4}jitter: none → 1 h$/m);
  expect(stdout).toMatch(/^ {4}limits: until 2030-01-01T00:00:00.000Z → none$/m);
  await applied();
  expect(await settingsOf(schedule('a'))).toEqual({ ...before, info: expect.anything() });
});

test('the schedule of a secret that is no longer declared, or rotated by hand, goes away', async () => {
  await declared({ a: APP, b: APP, c: APP });
  await applied();
  await until('the list has them', async () => {
    const found: string[] = [];
    for await (const { scheduleId } of bed.client.schedule.list()) found.push(scheduleId);
    return ['a', 'b', 'c'].every((name) => found.includes(idOf(name)));
  });
  await declared(
    { a: APP, b: { ...APP, schedule: 'by-hand' } },
    { review: 'off', schedules: { weeklyRun: 'never', ageCheck: 'never' } },
  );
  const { stdout } = await cli.run(['plan']);
  expect(stdout).toMatch(/^- delete keyturn\/rotation\/.+\/c {2}every 90 d/m);
  expect(deeds(await applied())).toEqual({
    [idOf('a')]: 'nothing',
    [idOf('b')]: 'delete',
    [idOf('c')]: 'delete',
    [weeklyRun()]: 'delete',
    [ageCheck()]: 'delete',
    [review()]: 'delete',
  });
  for (const gone of [schedule('b'), schedule('c'), bed.client.schedule.getHandle(weeklyRun())]) {
    await expect(gone.describe()).rejects.toThrow('not found');
  }
  expect(deeds(await applied())).toEqual({ [idOf('a')]: 'nothing' });
});

test("someone else's schedule is never touched, not even under an ID of ours", async () => {
  const foreign = (scheduleId: string, memo: Record<string, unknown> = {}) =>
    bed.client.schedule.create({
      scheduleId,
      spec: { calendars: [{ year: 2099 }] },
      action: { type: 'startWorkflow', workflowType: 'payroll', taskQueue: 'payroll' },
      memo,
    });
  const handles = await Promise.all([
    foreign(idOf('taken')),
    foreign(idOf('of-another'), { keyturnTaskQueue: 'keyturn-of-another-team' }),
    foreign(`keyturn/rotation/${bed.environment}/unknown`, { keyturnTaskQueue: 'keyturn-of-another-team' }),
    foreign(`payroll-${bed.environment}`),
  ]);
  try {
    const before = await Promise.all(handles.map(settingsOf));
    await declared({ taken: APP, 'of-another': APP, a: APP });
    const { code, stdout, stderr } = await cli.run(['apply']);
    expect(code).toBe(1);
    expect(stdout).toContain(
      '    was not created by Keyturn: it starts payroll on task queue payroll; delete or rename it if it is not needed\n',
    );
    expect(stdout).toContain(
      '    belongs to the Keyturn whose workers poll task queue keyturn-of-another-team; two of them cannot serve one environment\n',
    );
    expect(stderr).toContain(
      'Not all schedules are as the catalog says: 2 refused; each says why. The others were applied.',
    );
    expect((await schedule('a').describe()).memo).toEqual({ keyturnTaskQueue: bed.taskQueue });
    expect(await Promise.all(handles.map(settingsOf))).toEqual(before);
  } finally {
    await Promise.all(handles.map((handle) => handle.delete()));
  }
});

test('a schedule that Temporal does not take keeps none of the others from being applied', async () => {
  // Node.js takes it for an alias; the server's time zone database has US/Pacific.
  await declared({ a: APP, broken: { ...APP, schedule: { cron: '0 2 * * *', timeZone: 'Us/Pacific' } }, fresh: APP });
  const { code, error } = await cli.json<Schedules>(['apply']);
  expect({ code, type: error.type }).toEqual({ code: 1, type: 'SchedulesIncomplete' });
  const { schedules } = error.details as Schedules;
  expect(schedules.filter(({ failure }) => failure).map(({ scheduleId, failure }) => [scheduleId, failure])).toEqual([
    [idOf('broken'), expect.stringMatching(/^Temporal did not take it: .*Us\/Pacific/)],
  ]);
  expect((await schedule('fresh').describe()).state.paused).toBe(false);
});

test('an environment that the catalog does not have is refused', async () => {
  await declared({ a: APP });
  for (const command of ['plan', 'apply']) {
    expect(await cli.json([command, 'nowhere'])).toMatchObject({ code: 2, error: { type: 'UnknownSecretError' } });
  }
});

withTemporalCli(
  "Temporal's own command line lists, triggers and pauses a schedule, and triggered it rotates the secret",
  async () => {
    await bed.startWorker();
    await bed.declare({ a: APP, unused: APP });
    await applied();
    await until('the list has it', async () => (await temporal('schedule', 'list')).includes(idOf('a')));
    await temporal('schedule', 'trigger', '--schedule-id', idOf('a'));
    const rotated = await until('the secret is rotated', async () => {
      const [last] = (await schedule('a').describe()).info.recentActions;
      return last?.action;
    });
    if (rotated.type !== 'startWorkflow') throw new Error('it started no workflow');
    const { workflowId } = rotated.workflow;
    expect(workflowId).toMatch(new RegExp(`^scheduled/rotation/${bed.environment}/a-\\d{4}-`));
    expect(await bed.client.workflow.getHandle(workflowId).result()).toMatchObject({ outcome: 'rotated', secret: 'a' });
    expect((await bed.secrets.labels('a')).current).toBeDefined();
    expect((await cli.run(['status', `${bed.environment}/a`])).stdout).toContain('started by schedule');

    await temporal('schedule', 'toggle', '--schedule-id', idOf('a'), '--pause', '--reason', 'a look at it first');
    expect((await cli.run(['apply'])).stdout).toContain('(stays paused by an operator: a look at it first)');
    expect((await schedule('a').describe()).state).toMatchObject({ paused: true, note: 'a look at it first' });
  },
);

test('the uses that a metric counts are watched by a schedule that runs at once, and goes away with the last metric', async () => {
  await bed.startWorker();
  const usesMetric = { namespace: 'KeyturnTest', metric: 'Uses' };
  await declared({ metered: { ...APP, usesMetric }, a: APP });
  const scheduleId = `keyturn/usage/${bed.environment}`;
  expect((await cli.run(['plan'])).stdout).toContain(`+ create ${scheduleId}  every 1 h (`);
  await applied();
  const monitor = bed.client.workflow.getHandle(usageWorkflowId(bed.environment, 'metered'));
  await until(
    'its monitor runs',
    async () => (await monitor.describe().catch(() => undefined))?.status.name === 'RUNNING',
  );
  expect((await bed.client.schedule.getHandle(scheduleId).describe()).action).toMatchObject({
    workflowType: 'watchUsageMetrics',
    workflowId: `scheduled/usage/${bed.environment}`,
    args: [{ environment: bed.environment, requestedBy: 'schedule' }],
  });
  expect(deeds(await applied())[scheduleId]).toBe('nothing');
  await monitor.terminate('somebody ended it');
  await bed.client.schedule.getHandle(scheduleId).trigger();
  await until('it runs again', async () => (await monitor.describe()).status.name === 'RUNNING');
  await monitor.terminate('the test is over');
  await until('the list has it', async () => {
    for await (const found of bed.client.schedule.list()) if (found.scheduleId === scheduleId) return true;
    return false;
  });
  await declared({ metered: APP, a: APP });
  expect(deeds(await applied())[scheduleId]).toBe('delete');
});
