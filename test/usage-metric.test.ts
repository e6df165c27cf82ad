import { USAGE_SIGNAL } from '../src/rotation/usage';
import { UsageClient } from '../src/client/usage-client';
import { inLanes } from '../src/rotation/in-lanes';
import type { WorkerProcess } from './lab/worker-process';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { checkNamed } from './testbed/doctor-checks';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { createMeteredSecrets } from './testbed/usage-metrics';
import type { MeteredSecrets } from './testbed/usage-metrics';

const HOUR_MS = 3_600_000;
/** The minute that runs must end, and the activities be done. */
const A_PERIOD = { withinMs: 180_000, everyMs: 250 };

let bed: Testbed;
let cli: Cli;
let metered: MeteredSecrets;
let worker: WorkerProcess;
let scenarios: Record<'anotherRun' | 'limit' | 'byHand' | 'left', Promise<void>>;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  metered = createMeteredSecrets(bed);
  worker = await bed.startWorker();
});
afterAll(async () => {
  await metered.close(['exact', 'worn', 'mixed', 'left']);
  await cli.stop();
  await bed.close();
});

const status = (secret: string) => metered.status(secret).catch(() => undefined);
const told = (secret: string, total: number) =>
  until(
    `${total} uses of ${secret} are counted`,
    async () => {
      const found = await status(secret);
      return found?.metric?.total === total && found;
    },
    A_PERIOD,
  );

test('an answer that is lost with its worker makes no use count twice, and uses of another version do not count', async () => {
  await metered.declare('exact');
  await metered.publish('exact', 1_000, new Date(Date.now() - HOUR_MS));
  await metered.publish('exact', 3);
  await metered.publish('exact', 4);
  const secretId = bed.secrets.idOf('exact');
  const answered = { secretId, step: 'readUsageMetric', activity: 'sumUsageMetric', when: 'after' } as const;
  await bed.pauses.stopAt(answered);
  expect(await metered.watch()).toMatchObject({ monitors: 1 });
  await bed.pauses.reached(answered, A_PERIOD.withinMs);
  await worker.kill('SIGKILL');
  await bed.pauses.goOn(answered);
  worker = await bed.startWorker();
  expect(await told('exact', 7)).toMatchObject({ uses: 7, total: 7, rotations: 0 });
}, 600_000);

describe('period after period', () => {
  beforeAll(() => {
    // Each waits for minutes to end; side by side they take as long as one.
    scenarios = { anotherRun: anotherRun(), limit: limit(), byHand: byHand(), left: left() };
    for (const scenario of Object.values(scenarios)) scenario.catch(() => undefined);
  });

  test('the count goes on in another run', () => scenarios.anotherRun, 600_000);
  async function anotherRun(): Promise<void> {
    const { runId } = await metered.monitor('exact').describe();
    // As many events as the server lets one run have before it asks for another.
    await inLanes(Array.from({ length: 4_200 }), 20, () => metered.monitor('exact').signal(USAGE_SIGNAL, 'nonsense'));
    await until(
      'another run goes on',
      async () => (await metered.monitor('exact').describe()).runId !== runId,
      A_PERIOD,
    );
    await metered.publish('exact', 5);
    expect(await told('exact', 12)).toMatchObject({ uses: 12, reports: { counted: 0, refused: 4_200 } });
  }

  test(
    'at the limit one rotation is started, the count begins anew with it, and reports count beside the metric',
    () => scenarios.limit,
    600_000,
  );
  async function limit(): Promise<void> {
    await metered.declare('worn', { rotateAfterUses: 100 });
    await metered.publish('worn', 90);
    await metered.watch();
    expect(await told('worn', 90)).toMatchObject({ uses: 90, rotations: 0 });
    const usage = new UsageClient(bed.client, bed.taskQueue);
    await usage.report({ environment: bed.environment, secret: 'worn' }, { batch: 'one', count: 4 });
    await metered.publish('worn', 6);
    const rotated = await until(
      'it is rotated',
      async () => {
        const found = await status('worn');
        return found && found.rotations > 0 && !found.rotation && found;
      },
      A_PERIOD,
    );
    const { current } = await bed.secrets.labels('worn');
    expect(rotated).toMatchObject({ uses: 0, total: 100, rotations: 1, version: current });
    await metered.publish('worn', 8);
    expect(await told('worn', 104)).toMatchObject({ uses: 8, total: 108, rotations: 1 });
    expect(await bed.secrets.versionIds('worn')).toHaveLength(2);
  }

  test(
    'a rotation by somebody else begins the count anew, and where there are no data nothing is counted',
    () => scenarios.byHand,
    600_000,
  );
  async function byHand(): Promise<void> {
    await metered.declare('mixed');
    await metered.publish('mixed', 9);
    await metered.watch();
    const before = await told('mixed', 9);
    await bed.rotate('mixed');
    const after = await until(
      'the next period is counted',
      async () => {
        const found = await status('mixed');
        return found && found.metric?.countedUntil !== before.metric?.countedUntil && found;
      },
      A_PERIOD,
    );
    expect(after).toMatchObject({ uses: 0, total: 9, metric: { total: 9 } });
    expect(after.version).not.toBe(before.version);
  }

  test(
    'a metric that the catalog no longer names is not read, and one that it names again is counted from where it was left',
    () => scenarios.left,
    600_000,
  );
  async function left(): Promise<void> {
    const usage = async () => (await cli.run(['usage', bed.environment, 'left'])).stdout;
    await metered.declare('left');
    await metered.publish('left', 2);
    await metered.watch();
    await told('left', 2);
    const counted = `left: 2 of the total are from ${metered.metricName('left')}, counted until `;
    expect(await usage()).toContain(`\n${counted}`);
    await bed.declare({ left: { type: 'app-secret' } });
    await metered.publish('left', 3);
    await until(
      'it is left',
      async () => {
        const found = await status('left');
        return found && found.metric === undefined;
      },
      A_PERIOD,
    );
    await bed.declare({ left: { type: 'app-secret', usesMetric: metered.usesMetric('left') } });
    expect(await usage()).toContain('left: its metric is not counted yet. The schedule that sees to it: keyturn apply');
    await metered.watch();
    expect(await told('left', 5)).toMatchObject({ uses: 5, total: 5 });
  }
});

test('keyturn doctor tells whether the metric can be read and has data', async () => {
  const { environment } = bed;
  await metered.declare('read');
  await metered.publish('read', 12);
  expect(await checkNamed(cli, `uses of ${environment}/read`)).toMatchObject({
    state: 'ok',
    found: `${metered.metricName('read')} can be read; 12 uses in two weeks`,
  });
  const mistaken = { ...metered.usesMetric('read'), dimensions: { Environment: environment, Key: 'read' } };
  await bed.declare({ read: { type: 'app-secret', usesMetric: mistaken } });
  expect(await checkNamed(cli, `uses of ${environment}/read`)).toMatchObject({
    state: 'warning',
    found: expect.stringContaining('has had no data for two weeks') as string,
    todo: expect.stringContaining('correct namespace, metric, dimensions') as string,
  });
  await bed.declare({ read: { type: 'app-secret' } });
});

test('watching an environment that the catalog does not have is refused', async () => {
  const started = bed.client.workflow.execute('watchUsageMetrics', {
    taskQueue: bed.taskQueue,
    workflowId: `scheduled/usage/nowhere-${bed.environment}`,
    args: [{ environment: 'nowhere' }],
  });
  expect(await failureOf(started)).toMatchObject({ type: 'UsageRefused' });
});
