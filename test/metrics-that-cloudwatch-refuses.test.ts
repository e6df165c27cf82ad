import { randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';
import type { MetricPoint } from '../src/activities/metrics';
import { startCloudWatchMetrics } from '../src/runtime/cloudwatch-metrics';
import type { CloudWatchMetrics } from '../src/runtime/cloudwatch-metrics';
import { createLogger } from '../src/runtime/logging';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { until } from './testbed/until';

const DAY_MS = 86_400_000;
const VARIABLE = 'AWS_ENDPOINT_URL_CLOUDWATCH';

const endpoint = process.env['AWS_ENDPOINT_URL'] ?? '';
const environment = `t${randomUUID()}`;
const client = new CloudWatchClient({ endpoint });

let cloudWatch: FaultProxy;
let metrics: CloudWatchMetrics;
let log: string;

beforeEach(async () => {
  cloudWatch = await startFaultProxy(Number(new URL(endpoint).port));
  process.env[VARIABLE] = `http://127.0.0.1:${cloudWatch.port}`;
  log = '';
  const lines = new PassThrough();
  lines.on('data', (bytes: Buffer) => (log += bytes.toString()));
  metrics = startCloudWatchMetrics(createLogger('info', lines), 100);
});
afterEach(async () => {
  await metrics.close();
  Reflect.deleteProperty(process.env, VARIABLE);
  await cloudWatch.stop();
});
afterAll(() => client.destroy());

const point = (secret: string, ageMs = 0, value = 1): MetricPoint => ({
  name: 'RotationSuccess',
  environment,
  secret,
  value,
  at: new Date(Date.now() - ageMs),
});
async function isSent(secret: string): Promise<boolean> {
  const { Datapoints = [] } = await client.send(
    new GetMetricStatisticsCommand({
      Namespace: 'SecretRotation',
      MetricName: 'RotationSuccess',
      Dimensions: [
        { Name: 'Environment', Value: environment },
        { Name: 'SecretName', Value: secret },
      ],
      StartTime: new Date(Date.now() - 20 * DAY_MS),
      EndTime: new Date(Date.now() + 60_000),
      Period: 30 * 86_400,
      Statistics: ['SampleCount'],
    }),
  );
  return Datapoints.length > 0;
}
/** The log's lines about what was dropped, and how many data each was about. */
const dropped = () =>
  log
    .split('\n')
    .filter((line) => line.includes('"metrics-dropped"'))
    .map((line) => (JSON.parse(line) as { points: number }).points);

test.each(['InvalidParameterValue', 'InvalidParameterCombinationException'])(
  'data that CloudWatch refuses for good (%s) are dropped with a line in the log, and the others are sent',
  async (type) => {
    cloudWatch.answerWith(() => true, awsErrorResponse(type, 'The parameter MetricData is not valid.'));
    metrics.add(point(`refused-${type}`));
    await until('it is logged', async () => dropped().length > 0);
    metrics.add(point(`good-${type}`));
    await until('the other is sent', () => isSent(`good-${type}`));
    expect(await isSent(`refused-${type}`)).toBe(false);
    expect(dropped()).toEqual([2]);
    expect(log).not.toContain('metrics-not-sent');
  },
);

test('data that waited for two weeks are dropped, and those beside them are sent', async () => {
  metrics.add(point('old', 14 * DAY_MS));
  metrics.add(point('younger', 13 * DAY_MS));
  await until('the other is sent', () => isSent('younger'));
  expect(dropped()).toEqual([2]);
  expect(await isSent('old')).toBe(false);
});

test('data wait while the worker has no right to send them, because people mend that', async () => {
  cloudWatch.answerWith(() => true, awsErrorResponse('AccessDenied', 'not allowed', 403));
  metrics.add(point('waiting'));
  await until('it is sent', () => isSent('waiting'));
  expect(log).toContain('"metrics-not-sent"');
  expect(dropped()).toEqual([]);
});

test('a failure is sent at once, with what waits, and not only after ten seconds in which the worker may be killed', async () => {
  const patient = startCloudWatchMetrics(createLogger('info', new PassThrough()), DAY_MS);
  patient.add(point('before'));
  patient.add(point('failed', 0, 0));
  await until('it is sent', () => isSent('failed'));
  expect(await isSent('before')).toBe(true);
  await patient.close();
});
