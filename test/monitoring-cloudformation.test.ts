import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import type { MetricAlarm } from '@aws-sdk/client-cloudwatch';
import { CreateRoleCommand, GetRolePolicyCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { MetricPoint } from '../src/activities/metrics';
import { startCloudWatchMetrics } from '../src/runtime/cloudwatch-metrics';
import { createLogger } from '../src/runtime/logging';
import { cfnLintUnavailable, faultsOfTemplates } from './lab/cfn-lint';
import { ministackUnavailable, startMinistack } from './lab/ministack';
import type { Ministack } from './lab/ministack';
import { projectFile } from './lab/project';
import { stateOfAlarm } from './testbed/alarm-state';
import { monitoringFile, readTemplate } from './testbed/monitoring';
import { createStack } from './testbed/stacks';
import { describeWherePossible } from './testbed/where-possible';

const INSTALLED_MS = 15 * 60_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const report = (line: string) => void process.stderr.write(`${line}\n`);

const ALARMS = monitoringFile('cloudformation', 'alarms.yaml');
const deployed = (name: string) => projectFile('deploy', 'aws', `${name}.yaml`);
const TEMPLATES = [ALARMS, ...['backup-bucket', 'events', 'leak-webhook', 'native-rotation'].map(deployed)];

test('each alarm of each template tells a topic, which has to be named', async () => {
  let told = 0;
  for (const path of TEMPLATES) {
    const { Parameters, Resources } = await readTemplate(path, { TopicArn: 'the topic' });
    const alarms = Object.values(Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm');
    for (const { Properties } of alarms) expect(Properties['AlarmActions']).toEqual(['the topic']);
    if (alarms.length > 0) expect(Parameters['TopicArn']).not.toHaveProperty('Default');
    told += alarms.length;
  }
  expect(told).toBe(4);
});

describeWherePossible('cfn-lint', cfnLintUnavailable(), () => {
  test(
    'finds no fault with any template, not even a warning',
    async () => expect(await faultsOfTemplates(TEMPLATES, report)).toBe(''),
    INSTALLED_MS,
  );

  test(
    'would find a property that CloudFormation does not know, a value that it does not take, and a name that nothing has',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'keyturn-template-'));
      try {
        const path = join(folder, 'alarms.yaml');
        const text = await readFile(ALARMS, 'utf8');
        await writeFile(
          path,
          text
            .replace('EvaluationPeriods: 1', 'EvaluatedPeriods: 1')
            .replace('LessThanThreshold', 'Below')
            .replace('!Ref MaxAgeDays', '!Ref MaxAge'),
        );
        const faults = await faultsOfTemplates([path], report);
        for (const fault of ['EvaluatedPeriods', 'Below', "'MaxAge'"]) expect(faults).toContain(fault);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    INSTALLED_MS,
  );
});

describeWherePossible('CloudFormation', ministackUnavailable(), () => {
  const environment = `t${randomBytes(4).toString('hex')}`;
  const topic = 'arn:aws:sns:us-east-1:000000000000:on-call';
  const role = 'keyturn-worker';
  /** moto, to which the worker's own code sends. */
  const cloudWatch = new CloudWatchClient({});
  let ministack: Ministack;
  let clients: ReturnType<typeof clientsOf>;
  const alarms: Record<string, MetricAlarm> = {};

  const clientsOf = ({ endpoint }: Ministack) => {
    const options = {
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'testing', secretAccessKey: 'testing' },
    };
    return {
      cloudFormation: new CloudFormationClient(options),
      cloudWatch: new CloudWatchClient(options),
      iam: new IAMClient(options),
      s3: new S3Client({ ...options, forcePathStyle: true }),
      sqs: new SQSClient(options),
    };
  };

  beforeAll(async () => {
    ministack = await startMinistack(report);
    clients = clientsOf(ministack);
    await clients.iam.send(new CreateRoleCommand({ RoleName: role, AssumeRolePolicyDocument: '{}' }));
    await created('alarms', ALARMS, { Environment: environment, TopicArn: topic });
    const { MetricAlarms = [] } = await clients.cloudWatch.send(new DescribeAlarmsCommand({}));
    for (const alarm of MetricAlarms) alarms[alarm.AlarmName ?? ''] = alarm;
  }, INSTALLED_MS);
  afterAll(async () => {
    for (const client of [cloudWatch, ...Object.values(clients ?? {})]) client.destroy();
    await ministack?.stop();
  });

  const created = (name: string, path: string, parameters: Record<string, string>) =>
    createStack(clients.cloudFormation, name, path, parameters);

  /** Has the worker's own code send points, each some time before `at`. */
  async function sent(points: Pick<MetricPoint, 'name' | 'environment' | 'secret' | 'value' | 'at'>[]): Promise<void> {
    const metrics = startCloudWatchMetrics(createLogger('error'), DAY_MS);
    for (const point of points) metrics.add(point);
    await metrics.close();
  }

  function alarm(name: string): MetricAlarm {
    const found = alarms[`keyturn-${environment}-${name}`];
    if (!found) throw new Error(`there is no alarm ${name}`);
    return { ...found };
  }

  /** The alarm as it would be for another environment. */
  const of = (other: string, found: MetricAlarm): MetricAlarm => ({
    ...found,
    Dimensions: [{ Name: 'Environment', Value: other }],
  });

  test('creates the two alarms of an environment, with what the template says', () => {
    expect(Object.keys(alarms).sort()).toEqual([
      `keyturn-${environment}-rotation-failed`,
      `keyturn-${environment}-secret-too-old`,
    ]);
    expect(alarm('rotation-failed')).toMatchObject({
      Namespace: 'SecretRotation',
      MetricName: 'RotationSuccess',
      Dimensions: [{ Name: 'Environment', Value: environment }],
      Statistic: 'Minimum',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      Period: 300,
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
      AlarmActions: [topic],
      OKActions: [],
    });
    expect(alarm('secret-too-old')).toMatchObject({
      MetricName: 'SecretAge',
      Dimensions: [{ Name: 'Environment', Value: environment }],
      Statistic: 'Maximum',
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 97,
      Period: 86_400,
      EvaluationPeriods: 2,
      DatapointsToAlarm: 2,
      TreatMissingData: 'breaching',
      AlarmActions: [topic],
      OKActions: [topic],
    });
  });

  test('one failed rotation among many good ones alarms, which their sum would not have shown', async () => {
    const at = new Date(Date.now() - DAY_MS);
    const ended = (value: number, n: number) => {
      return { name: 'RotationSuccess' as const, environment, secret: `secret-${n}`, value, at };
    };
    await sent(Array.from({ length: 20 }, (_, n) => ended(n === 7 ? 0 : 1, n)));
    const failed = alarm('rotation-failed');
    expect(await stateOfAlarm(cloudWatch, failed, at)).toBe('ALARM');
    expect(await stateOfAlarm(cloudWatch, { ...failed, Statistic: 'Sum' }, at)).toBe('OK');
  });

  test('a failed rotation alarms when it was the only one, and for as long as its five minutes last', async () => {
    const other = `${environment}-one`;
    const at = new Date(Date.now() - DAY_MS);
    await sent([{ name: 'RotationSuccess', environment: other, secret: 'a', value: 0, at }]);
    const failed = of(other, alarm('rotation-failed'));
    expect(await stateOfAlarm(cloudWatch, failed, at)).toBe('ALARM');
    expect(await stateOfAlarm(cloudWatch, failed, new Date(at.getTime() + 5 * MINUTE_MS))).toBe('OK');
    expect(await stateOfAlarm(cloudWatch, of(`${other}-else`, failed), at)).toBe('OK');
  });

  test('neither rotations that succeed nor a night without any alarm', async () => {
    const other = `${environment}-good`;
    const at = new Date(Date.now() - DAY_MS);
    await sent([1, 2, 3].map((n) => ({ name: 'RotationSuccess', environment: other, secret: `${n}`, value: 1, at })));
    const failed = of(other, alarm('rotation-failed'));
    expect(await stateOfAlarm(cloudWatch, failed, at)).toBe('OK');
    expect(await stateOfAlarm(cloudWatch, failed, new Date(at.getTime() - DAY_MS / 2))).toBe('OK');
  });

  test('a secret that is too old on two days alarms, and so does an age check that has not run for two days', async () => {
    const other = `${environment}-old`;
    const today = new Date(Date.now() - DAY_MS);
    const daysBefore = (days: number) => new Date(today.getTime() - days * DAY_MS);
    const ages: [number, number][] = [
      [0, 99],
      [1, 98],
      [2, 97],
      [3, 12],
      // No look at all on the fourth and fifth day before.
      [6, 12],
    ];
    await sent(
      ages.flatMap(([days, value]) => [
        { name: 'SecretAge', environment: other, secret: 'old', value, at: daysBefore(days) },
        { name: 'SecretAge', environment: other, secret: 'young', value: 1, at: daysBefore(days) },
      ]),
    );
    const tooOld = of(other, alarm('secret-too-old'));
    const states = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6].map((days) => stateOfAlarm(cloudWatch, tooOld, daysBefore(days))),
    );
    expect(states).toEqual(['ALARM', 'OK', 'OK', 'OK', 'ALARM', 'OK', 'OK']);
  });

  test('creates the bucket of backups with versions, and says what the worker may do there', async () => {
    await created('backup-bucket', deployed('backup-bucket'), { BucketName: 'backups', WorkerRoleName: role });
    const { s3 } = clients;
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket: 'backups' }))).Status).toBe('Enabled');
    expect(await policy('keyturn-backups')).toContain('arn:aws:s3:::backups/secret-backups/*');
  });

  test('creates the queue of events, whose messages are given up only after many receives, and tells of those and of what nobody receives', async () => {
    const { QueueUrl = '', DeadLettersArn } = await created('events', deployed('events'), {
      WorkerRoleName: role,
      TopicArn: topic,
    });
    const { Attributes = {} } = await clients.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    );
    expect(JSON.parse(Attributes['RedrivePolicy'] ?? '{}')).toMatchObject({
      deadLetterTargetArn: expect.stringMatching(/:keyturn-events-dead-letters$/),
      maxReceiveCount: 500,
    });
    expect(DeadLettersArn).toBe(`${Attributes['QueueArn']}-dead-letters`);
    expect(await policy('keyturn-events')).toContain(Attributes['QueueArn']);
    const { MetricAlarms = [] } = await clients.cloudWatch.send(
      new DescribeAlarmsCommand({ AlarmNamePrefix: 'keyturn-events' }),
    );
    const watched = MetricAlarms.map(({ Dimensions = [], MetricName, AlarmActions }) => {
      return { queue: Dimensions[0]?.Value, MetricName, AlarmActions };
    });
    expect(watched).toHaveLength(2);
    expect(watched).toEqual(
      expect.arrayContaining([
        {
          queue: 'keyturn-events-dead-letters',
          MetricName: 'ApproximateNumberOfMessagesVisible',
          AlarmActions: [topic],
        },
        { queue: 'keyturn-events', MetricName: 'ApproximateAgeOfOldestMessage', AlarmActions: [topic] },
      ]),
    );
  });

  test('creates the function that lets Secrets Manager start rotations', async () => {
    const { FunctionArn } = await created('native-rotation', deployed('native-rotation'), {
      ImageUri: '000000000000.dkr.ecr.us-east-1.amazonaws.com/keyturn-native-rotation:1',
      TemporalAddress: 'temporal.example:7233',
      SubnetIds: 'subnet-1,subnet-2',
      SecurityGroupIds: 'sg-1',
    });
    expect(FunctionArn).toMatch(/^arn:aws:lambda:us-east-1:\d+:function:/);
  });

  async function policy(PolicyName: string): Promise<string> {
    const { PolicyDocument = '' } = await clients.iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName }));
    return decodeURIComponent(PolicyDocument);
  }
});
