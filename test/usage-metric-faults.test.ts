import { PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createUsageMetricActivities } from '../src/activities/usage/metric-activities';
import type { UsageMetricDependencies } from '../src/activities/usage/metric-activities';
import { UsageClient } from '../src/client/usage-client';
import { createCli } from './testbed/cli-process';
import { startEnforcingAws } from './testbed/enforcing-aws';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { createMeteredSecrets } from './testbed/usage-metrics';
import type { MeteredSecrets } from './testbed/usage-metrics';
import { startWireTap } from './testbed/wire-tap';

const A_WHILE = { withinMs: 300_000, everyMs: 250 };

let bed: Testbed;
let metered: MeteredSecrets;

beforeEach(async () => {
  bed = await openTestbed();
  metered = createMeteredSecrets(bed);
});
afterEach(async () => {
  await metered.close(['used']);
  await bed.close();
});

const problemOf = () =>
  until(
    'the problem is told',
    async () => (await metered.status('used').catch(() => undefined))?.metric?.problem?.message,
    A_WHILE,
  );
const allCounted = (total: number) =>
  until('it is counted', async () => (await metered.status('used')).metric?.total === total, A_WHILE);

test('while CloudWatch cannot be reached reports are counted and rotate, and nothing of the metric is lost', async () => {
  const line = await startWireTap(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed.alsoStop(line);
  line.mode = 'hang-up';
  await bed.startWorker({ AWS_ENDPOINT_URL_CLOUDWATCH: `http://127.0.0.1:${line.port}` });
  await metered.declare('used', { rotateAfterUses: 10 });
  await metered.watch();
  await metered.publish('used', 3);
  expect(await problemOf()).toContain(`CloudWatch did not answer GetMetricData of ${metered.metricName('used')}`);

  const usage = new UsageClient(bed.client, bed.taskQueue);
  await usage.report({ environment: bed.environment, secret: 'used' }, { batch: 'one', count: 10 });
  await until('it is rotated', async () => {
    const { rotations, rotation } = await metered.status('used');
    return rotations === 1 && !rotation;
  });
  line.mode = 'pass';
  await allCounted(3);
  expect(await metered.status('used')).toMatchObject({ total: 13, rotations: 1 });
  // It is counted before all periods are read.
  const isOver = async () => (await metered.status('used')).metric?.problem === undefined;
  await until('the problem is over', isOver, { withinMs: 180_000 });
}, 600_000);

test('a worker that may not read the metric says so with the right that it needs, and counts once it may', async () => {
  const aws = await startEnforcingAws();
  bed.alsoStop(aws);
  const { accessKeyId, secretAccessKey } = await aws.createUser('keyturn');
  const cli = createCli(bed);
  // The lab's AWS takes any key.
  await bed.startWorker({
    AWS_ENDPOINT_URL_CLOUDWATCH: aws.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  });
  bed.alsoSecret(() => [secretAccessKey]);
  const published = createMeteredSecrets(bed, aws);
  await metered.declare('used');
  await published.publish('used', 6);
  await metered.watch();
  const refused = 'The worker may not call cloudwatch:GetMetricData';
  expect(await problemOf()).toContain(refused);
  expect((await cli.run(['usage', bed.environment, 'used'])).stdout).toMatch(
    new RegExp(`^used: ${refused}.* Tried again at \\d{4}-`, 'm'),
  );
  await aws.iam.send(
    new PutUserPolicyCommand({
      UserName: 'keyturn',
      PolicyName: 'usage',
      PolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        // AWS's name of the right, and moto's, which calls it by the service that requests are signed for.
        Statement: [
          { Effect: 'Allow', Action: ['cloudwatch:GetMetricData', 'monitoring:GetMetricData'], Resource: '*' },
        ],
      }),
    }),
  );
  await allCounted(6);
  await published.close([]);
  await cli.stop();
}, 600_000);

test('a monitor that cannot be reached keeps no other from being started', async () => {
  const names = Array.from({ length: 12 }, (_, n) => `used-${n}`);
  const reached: string[] = [];
  const { startUsageMonitors } = createUsageMetricActivities({
    catalog: {
      load: () => Promise.resolve({ secrets: () => names.map((secret) => ({ secret, usesMetric: {} })) }),
    },
    workflows: {
      signalWithStart: (_type: unknown, { workflowId }: { workflowId: string }) => {
        if (workflowId.endsWith('/used-0')) return Promise.reject(new Error('signal count limit exceeded'));
        reached.push(workflowId);
        return Promise.resolve();
      },
    },
  } as unknown as UsageMetricDependencies);
  const input = { secretId: `${bed.environment}/*`, step: 'startUsageMonitors', environment: bed.environment };
  const started = new MockActivityEnvironment({ taskQueue: bed.taskQueue }).run(startUsageMonitors, input);
  await expect(started).rejects.toThrow(
    /^the uses of used-0 of .*\(signal count limit exceeded\); those of the other 11 are/,
  );
  expect(reached).toHaveLength(11);
});
