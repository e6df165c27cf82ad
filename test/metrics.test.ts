import { randomBytes } from 'node:crypto';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import type { Datapoint } from '@aws-sdk/client-cloudwatch';
import type { WorkerProcess } from './lab/worker-process';
import { startDependent } from './testbed/dependent';
import { checkAges } from './testbed/age-checks';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { startWireTap } from './testbed/wire-tap';

let bed: Testbed;
let worker: WorkerProcess;
let exposed: string;
const cloudWatch = new CloudWatchClient({
  endpoint: process.env['AWS_ENDPOINT_URL'],
  region: process.env['AWS_REGION'],
  credentials: { accessKeyId: 'testing', secretAccessKey: 'testing' },
});

beforeAll(async () => {
  bed = await openTestbed();
  const dependent = await startDependent('shop', '1 second');
  bed.alsoStop(dependent);
  dependent.answer(503);
  await bed.declare({
    good: { type: 'app-secret' },
    bad: { type: 'app-secret', dependents: [dependent.declaration] },
    tried: { type: 'app-secret' },
  });
  worker = await bed.startWorker({ KEYTURN_CLOUDWATCH_METRICS: 'true' });
  await bed.rotate('good');
  await bed.rotate('tried', { dryRun: true });
  await failureOf(bed.rotate('bad'));
  exposed = await prometheus(worker);
  // What waits is sent at the end.
  await worker.stop();
});
afterAll(async () => {
  await bed.close();
  cloudWatch.destroy();
});

/** A metric's value for a secret, or for the environment. */
function told(metric: string, secret?: string, text = exposed): number {
  const labels = [`environment="${bed.environment}"`, ...(secret === undefined ? [] : [`secret="${secret}"`])];
  const line = text
    .split('\n')
    .find((line) => line.startsWith(`${metric}{`) && labels.every((label) => line.includes(label)));
  return Number(line?.split(' ').at(-1));
}

async function prometheus({ ready }: WorkerProcess): Promise<string> {
  const { metricsAddress } = await ready;
  return (await fetch(`http://${metricsAddress}/metrics`)).text();
}

async function points(MetricName: string, secret?: string): Promise<Datapoint[]> {
  const { Datapoints = [] } = await cloudWatch.send(
    new GetMetricStatisticsCommand({
      Namespace: 'SecretRotation',
      MetricName,
      Dimensions: [
        { Name: 'Environment', Value: bed.environment },
        ...(secret === undefined ? [] : [{ Name: 'SecretName', Value: secret }]),
      ],
      StartTime: new Date(Date.now() - 600_000),
      EndTime: new Date(Date.now() + 60_000),
      Period: 3_600,
      Statistics: ['Minimum', 'Maximum', 'SampleCount'],
    }),
  );
  return Datapoints;
}

test('CloudWatch shows 1 for a rotation that succeeded and 0 for one that failed', async () => {
  expect(await points('RotationSuccess', 'good')).toMatchObject([{ Minimum: 1, SampleCount: 1 }]);
  expect(await points('RotationSuccess', 'bad')).toMatchObject([{ Maximum: 0, SampleCount: 1 }]);
});

test('CloudWatch shows the lowest of the environment, which an alarm on all its secrets watches', async () => {
  expect(await points('RotationSuccess')).toMatchObject([{ Minimum: 0, Maximum: 1 }]);
});

test('CloudWatch shows how long a rotation took, and that a rotated secret is new', async () => {
  const [duration] = await points('RotationDuration', 'good');
  expect(duration?.Maximum).toBeGreaterThan(0);
  expect(duration?.Maximum).toBeLessThan(30);
  expect(await points('SecretAge', 'good')).toMatchObject([{ Maximum: 0 }]);
  expect(await points('SecretAge', 'bad')).toEqual([]);
});

test('a dry run is neither success nor failure', async () => {
  expect(await points('RotationSuccess', 'tried')).toEqual([]);
});

test('Prometheus is shown when a rotation of each secret last succeeded and failed', () => {
  const now = Date.now() / 1_000;
  expect(Math.abs(now - told('keyturn_rotation_success_timestamp_seconds', 'good'))).toBeLessThan(120);
  expect(Math.abs(now - told('keyturn_rotation_failure_timestamp_seconds', 'bad'))).toBeLessThan(120);
  expect(told('keyturn_rotation_failure_timestamp_seconds', 'good')).toBeNaN();
});

test('Prometheus is shown how old secrets are and when that was measured, and when all of them were looked at', async () => {
  expect(told('keyturn_secret_age_seconds', 'good')).toBe(0);
  await bed.secrets.create('old', randomBytes(24).toString('hex'));
  const other = await bed.startWorker();
  await checkAges(bed);
  const text = await prometheus(other);
  await other.stop();
  const now = Date.now() / 1_000;
  for (const secret of ['good', 'old']) {
    expect(told('keyturn_secret_age_seconds', secret, text)).toBeLessThan(120);
    expect(Math.abs(now - told('keyturn_secret_age_measured_timestamp_seconds', secret, text))).toBeLessThan(120);
  }
  expect(Math.abs(now - told('keyturn_age_check_timestamp_seconds', undefined, text))).toBeLessThan(120);
});

test('while CloudWatch is down rotations go on, and their metrics are sent when it is back', async () => {
  const line = await startWireTap(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed.alsoStop(line);
  line.mode = 'hang-up';
  const other = await bed.startWorker({
    KEYTURN_CLOUDWATCH_METRICS: 'true',
    AWS_ENDPOINT_URL_CLOUDWATCH: `http://127.0.0.1:${line.port}`,
  });
  await bed.declare({ later: { type: 'app-secret' } });
  const began = Date.now();
  await bed.rotate('later');
  expect(Date.now() - began).toBeLessThan(8_000);
  await until('the log says so', async () => other.output().includes('"metrics-not-sent"'));
  line.mode = 'pass';
  await until('they are sent', async () => (await points('RotationSuccess', 'later')).length > 0);
  await until('the worker says so', () => Promise.resolve(other.output().includes('"metrics-sent"')));
});
