import type { FleetReport, FleetStatus } from '../src/rotation/fleet';
import type { RotationResult } from '../src/rotation/types';
import { startDevServer } from './lab/temporal';
import type { Temporal } from './lab/temporal';
import { fleetOf, outcomesOf } from './testbed/fleets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let server: Temporal;
let bed: Testbed;
const shared = process.env['TEMPORAL_ADDRESS'];

/** A server that finds a history long after 60 events and not after 4,096, which would take hundreds of secrets. */
beforeAll(async () => {
  server = await startDevServer(() => undefined, ['limit.historyCount.suggestContinueAsNew=60']);
  process.env['TEMPORAL_ADDRESS'] = server.address;
  bed = await openTestbed({ fleet: { concurrency: 4 } });
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  process.env['TEMPORAL_ADDRESS'] = shared;
  await server.stop();
});

const NAMES = Array.from({ length: 40 }, (_, n) => `secret-${String(n).padStart(2, '0')}`);
const SLOW = 'secret-03';

test('a long fleet goes on in further runs, with one report of all and the rotations that ran meanwhile', async () => {
  await bed.declare(Object.fromEntries(NAMES.map((name) => [name, { type: 'app-secret' }])));
  const point = { secretId: bed.secrets.idOf(SLOW), step: 'deliver', when: 'before' } as const;
  const beforeOutcome = { ...point, step: 'recordOutcome' };
  await bed.pauses.stopAt(beforeOutcome);
  const fleet = fleetOf(bed);
  const started = await fleet.start({ types: ['app-secrets'] });
  await bed.pauses.reached(beforeOutcome);

  // One stands still over several runs of the fleet: no run that started it hears of its end.
  const later = await until('the fleet has gone on in another run, and only one is left', async () => {
    const { runId } = await fleet.handle().describe();
    const status = await fleet.status().catch(() => undefined);
    return runId !== started.firstExecutionRunId && status?.waiting === 0 && status.running.length === 1 && status;
  });
  expect((later as FleetStatus).running).toMatchObject([{ secret: SLOW }]);
  await bed.pauses.goOn(beforeOutcome);

  const report = (await started.result()) as FleetReport;
  const all = [...NAMES, 'unused'];
  expect(outcomesOf(report)).toEqual(Object.fromEntries(all.map((name) => [name, 'rotated'])));
  expect(report).toMatchObject({ total: all.length, succeeded: all.length, failed: 0 });
  for (const name of all) expect(await bed.secrets.versionIds(name)).toHaveLength(1);
  const runs = [];
  for await (const { runId } of bed.client.workflow.list({ query: `WorkflowId = '${fleet.workflowId}'` }))
    runs.push(runId);
  expect(runs.length).toBeGreaterThanOrEqual(2);
});

test('an emergency goes on in further runs with what is in its way, and before all other work', async () => {
  const point = { secretId: bed.secrets.idOf(SLOW), step: 'recordOutcome', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const before = await bed.start(SLOW);
  await bed.pauses.reached(point);
  const fleet = fleetOf(bed, { emergency: true });
  const { workflowId } = fleet;
  const started = await bed.client.workflow.start('rotateEnvironment', {
    taskQueue: bed.taskQueue,
    workflowId,
    args: [{ environment: bed.environment, emergency: true }],
    priority: { priorityKey: 1 },
  });
  await until('the fleet has gone on in another run, and only what is in its way is left', async () => {
    const { runId } = await fleet.handle().describe();
    const status = await fleet.status().catch(() => undefined);
    return runId !== started.firstExecutionRunId && status?.inTheWay === 1 && status.succeeded === status.total - 1;
  });
  expect((await fleet.handle().describe()).priority?.priorityKey).toBe(1);
  await bed.pauses.goOn(point);
  const { versions } = (await before.result()) as RotationResult;
  const report = (await started.result()) as FleetReport;
  expect(report).toMatchObject({ failed: 0, skipped: 0, succeeded: NAMES.length + 1 });
  expect(report.secrets.find(({ secret }) => secret === SLOW)?.after).toMatch(/^rotateAppSecret runs since /);
  expect((await bed.secrets.labels(SLOW)).previous).toBe(versions.current);
});
