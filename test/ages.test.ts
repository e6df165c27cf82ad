import { CreateSecretCommand, DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { AgesReport, CheckAgesInput } from '../src/rotation/ages';
import { fleetWorkflowId } from '../src/rotation/names';
import { freePort } from './lab/ports';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;
let checks = 0;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
  await bed.secrets.create('unused', 'first-value-of-unused');
  await bed.secrets.create('old', 'first-value-of-old');
  await bed.secrets.create('forgotten', 'first-value-of-forgotten');
  await bed.declare({ old: { type: 'app-secret', maxAge: '1 second' }, missing: { type: 'app-secret' } });
  await bed.startWorker();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
});

async function check(input: Partial<CheckAgesInput> = {}): Promise<{ report: AgesReport; workflowId: string }> {
  const workflowId = `ages-${bed.environment}-${++checks}`;
  const { client, taskQueue, environment } = bed;
  const handle = await client.workflow.start('checkSecretAges', {
    workflowId,
    taskQueue,
    args: [{ environment, requestedBy: 'tester', ...input }],
  });
  return { report: (await handle.result()) as AgesReport, workflowId };
}

test('every secret below the environment is listed, oldest first, also those that nobody declared or that do not exist', async () => {
  const { report } = await check({ tell: false });
  expect(report).toMatchObject({ environment: bed.environment, total: 4, overdue: 1 });
  const days90 = 90 * 86_400_000;
  expect(report.secrets.slice(0, 3)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ secret: 'old', type: 'app-secret', limitMs: 1_000, overdue: true }),
      expect.objectContaining({ secret: 'unused', type: 'app-secret', limitMs: days90, overdue: false }),
      expect.objectContaining({ secret: 'forgotten', limitMs: days90, overdue: false }),
    ]),
  );
  expect(report.secrets.find(({ secret }) => secret === 'forgotten')).not.toHaveProperty('type');
  expect(report.secrets[3]).toEqual({ secret: 'missing', type: 'app-secret', limitMs: days90, overdue: false });
  const times = report.secrets.slice(0, 3).map(({ since = '' }) => since);
  expect([...times].sort()).toEqual(times);
});

test('a limit holds for all, and a new version is young again', async () => {
  const { report } = await check({ tell: false, limit: '1 second' });
  expect(report.overdue).toBe(3);
  await bed.rotate('unused');
  const { secrets } = (await check({ tell: false })).report;
  const ages = new Map(secrets.map(({ secret, since = '' }) => [secret, Date.parse(since)]));
  expect(ages.get('unused')).toBeGreaterThan(ages.get('forgotten') ?? 0);
});

/** The run that tells people what a check found. */
async function telling(workflowId: string) {
  const { runId } = await bed.client.workflow.getHandle(workflowId).describe();
  return bed.client.workflow.getHandle(`notification/${bed.environment}/overdue/${runId}`);
}

test('people are told once of all that is overdue, and of nothing when nothing is by a limit of their own', async () => {
  const some = await check();
  expect(await (await telling(some.workflowId)).result()).toEqual({ sent: ['log'], notSent: [] });
  const none = await check({ limit: '1 day' });
  await expect((await telling(none.workflowId)).describe()).rejects.toThrow('not found');
});

test('that nothing is overdue any more is told to who may have an incident open, and to nobody else', async () => {
  const log = { type: 'log' };
  const pager = {
    type: 'pagerduty',
    url: `http://127.0.0.1:${await freePort()}/`,
    routingKey: { env: 'KEYTURN_NOTIFY_UNSET' },
  };
  await bed.declareNotifications({ channels: { log, pager }, routes: [{ channels: ['log', 'pager'] }] });
  await bed.declare({ old: { type: 'app-secret' } });
  const { report, workflowId } = await check();
  expect(report.overdue).toBe(0);
  expect(await (await telling(workflowId)).result()).toEqual({
    sent: [],
    notSent: [expect.objectContaining({ channel: 'pager' })],
  });
  await bed.declareNotifications({ channels: { log }, routes: [{ channels: ['log'] }] });
  await bed.declare({ old: { type: 'app-secret', maxAge: '1 second' } });
});

test('what is due is rotated when asked for', async () => {
  const { report } = await check({ tell: false, start: true });
  expect(report.started).toEqual({ workflowId: fleetWorkflowId(bed) });
  const { secrets } = (await bed.client.workflow.getHandle(fleetWorkflowId(bed)).result()) as {
    secrets: { secret: string; outcome: string }[];
  };
  expect(secrets.filter(({ outcome }) => outcome === 'rotated').map(({ secret }) => secret)).toEqual([
    'missing',
    'old',
  ]);
});

test('more secrets than one page of Secrets Manager holds are all looked at, and deleted ones are not', async () => {
  const names = Array.from({ length: 230 }, (_, n) => `many/${n}`);
  for (const name of names) {
    const Name = bed.secrets.idOf(name);
    await bed.secretsManager.send(
      new CreateSecretCommand({ Name, SecretString: `value-of-${name}-in-${bed.environment}` }),
    );
  }
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf('many/0') }));
  const { report } = await check({ tell: false });
  expect(report.secrets.filter(({ secret }) => secret.startsWith('many/'))).toHaveLength(229);
});

test('an input that makes no sense, or an unknown environment, is refused', async () => {
  for (const [input, type] of [
    [{ limit: 'soon' }, 'BadInput'],
    [{ limit: '0 days' }, 'BadInput'],
    [{ start: 'yes' as unknown as boolean }, 'BadInput'],
    [{ environment: 'nowhere' }, 'UnknownSecret'],
  ] as const) {
    expect(await failureOf(check(input))).toMatchObject({
      type: 'AgeCheckFailed',
      details: { cause: { type } },
    });
  }
});

describe('keyturn ages', () => {
  test('prints a table with who rotated it last, and ends with exit code 1 when something is overdue', async () => {
    await until('it is old', async () => {
      const { code, stdout, stderr } = await cli.run(['ages', bed.environment]);
      if (code !== 1) return false;
      expect(stdout).toMatch(/^SECRET +TYPE +AGE +LIMIT +DUE +LAST ROTATED BY$/m);
      expect(stdout).toMatch(/^old +app-secret +.+ +1 s +\d{4}-\d\d-\d\d OVERDUE +tester$/m);
      expect(stdout).toMatch(/^unused +app-secret +.+ +90 d +\d{4}-\d\d-\d\d +tester$/m);
      expect(stdout).toMatch(/^forgotten +\(not in the catalog\) +.+ -$/m);
      expect(stderr).toContain('1 secret is overdue.');
      return true;
    });
    const { code, ok, error } = await cli.json(['ages', bed.environment]);
    expect({ code, ok, type: error.type }).toEqual({ code: 1, ok: false, type: 'Overdue' });
    expect(error.details).toMatchObject({ overdue: 1, environment: bed.environment });
  });

  test('ends with exit code 0 when nothing is, and 2 when it is asked wrongly', async () => {
    expect(await cli.run(['ages', bed.environment, '--limit', '1 day'])).toMatchObject({ code: 0, stderr: '' });
    expect(await cli.run(['ages', bed.environment, '--limit', '-1 day'])).toMatchObject({ code: 2 });
    expect(await cli.run(['ages', 'nowhere'])).toMatchObject({ code: 2 });
  });
});
