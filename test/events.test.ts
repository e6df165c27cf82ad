import { randomBytes, randomUUID } from 'node:crypto';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { UpdateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Notification } from '../src/activities/notify/notifier';
import { rotationWorkflowId } from '../src/rotation/names';
import { startEvent } from '../src/runtime/events/starting';
import type { WorkerProcess } from './lab/worker-process';
import { createApiKey } from './testbed/api-keys';
import { createEventQueue, eventBridge, recordedCall } from './testbed/event-queue';
import type { EventQueue } from './testbed/event-queue';
import { startFakeKeyService } from './testbed/fake-key-service';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let queue: EventQueue;
let worker: WorkerProcess;

beforeAll(async () => {
  bed = await openTestbed();
  queue = await createEventQueue(bed);
  await bed.declare({ app: { type: 'app-secret' }, used: { type: 'app-secret' } });
  for (const secret of ['app', 'used']) await bed.secrets.create(secret, randomBytes(24).toString('hex'));
  await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
  await heed('rotate');
  worker = await bed.startWorker({ KEYTURN_LOG_LEVEL: 'debug' });
});
afterAll(() => bed.close());

const heed = (leak: 'rotate' | 'notify') => bed.declareEvents({ queueUrl: queue.url, leak });
const lines = () =>
  worker
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const told = (about: string) =>
  lines().filter((line) => line['event'] === 'notification' && line['about'] === about) as unknown as Notification[];
const isTold = (about: string, holds: (told: Notification) => boolean = () => true) =>
  until(`people are told of ${about}`, async () => told(about).find(holds));
const isEmpty = () => until('the queue is empty', async () => (await queue.size()) === 0);
const logged = (event: string, messageId: string) =>
  lines().filter((line) => line['event'] === event && line['messageId'] === messageId);
const leakOf = (secret: string, more = {}) => ({
  environment: bed.environment,
  secret,
  reason: 'seen in a build log',
  ...more,
});
const event = (secret: string, id: string, kind = 'leak') =>
  bed.client.workflow.getHandle(`event/${kind}/${bed.environment}/${secret}/${id}`);

test('a secret that is said to have leaked is rotated as an emergency, once, however often the event is delivered', async () => {
  const before = await bed.secrets.labels('app');
  const id = randomUUID();
  const leak = eventBridge('com.example.scanner', 'keyturn.leak', leakOf('app'), id);
  await queue.send(leak);
  await queue.send(leak);
  await until('it is started', async () => lines().some((line) => line['event'] === 'event-accepted'));
  expect(await event('app', id).result()).toEqual({ outcome: 'rotated' });
  await queue.send(leak);
  await isEmpty();
  const labels = await bed.secrets.labels('app');
  expect(labels.previous).toBe(before.current);
  expect(await bed.secrets.versionIds('app')).toHaveLength(2);
  const rotation = await bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'app')).describe();
  expect(rotation.priority?.priorityKey).toBe(1);
  expect(rotation.parentExecution?.workflowId).toBe(`event/leak/${bed.environment}/app/${id}/rotate-1`);
  expect(await isTold('leak-reported')).toMatchObject({ severity: 'critical', secret: 'app' });
  expect(told('leak-reported')).toHaveLength(1);
});

test('a leak that is reported by a message of its own, without EventBridge, is dealt with in the same way', async () => {
  const { current } = await bed.secrets.labels('used');
  const messageId = await queue.send(leakOf('used'));
  await until('it is accepted', async () => logged('event-accepted', messageId).length > 0);
  expect(await event('used', messageId).result()).toEqual({ outcome: 'rotated' });
  expect((await bed.secrets.labels('used')).previous).toBe(current);
});

test('an aborted emergency rotation of a secret that leaked is a failure, and people are told', async () => {
  const { current } = await bed.secrets.labels('used');
  const point = { secretId: bed.secrets.idOf('used'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  await queue.send(leakOf('used', { id: 'INC-0' }));
  await bed.pauses.reached(point);
  const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'used'));
  await rotation.signal('abort', { reason: 'a false alarm', requestedBy: 'night shift' });
  await bed.pauses.goOn(point);
  expect(await failureOf(event('used', 'INC-0').result())).toMatchObject({
    type: 'RotationRolledBack',
    message: expect.stringContaining('aborted by night shift (a false alarm)') as string,
    details: { cause: { type: 'Aborted' } },
  });
  expect((await bed.secrets.labels('used')).current).toBe(current);
  expect(await isTold('aborted', ({ severity }) => severity === 'critical')).toMatchObject({
    secret: 'used',
    message: expect.stringContaining('what leaked is still in use') as string,
    next: `keyturn rotate ${bed.environment}/used --emergency`,
  });
});

test('a leak during a grace period ends it, and the key that was new then is replaced too', async () => {
  const service = await startFakeKeyService();
  bed.alsoStop(service);
  bed.alsoSecret(() => service.everyValue());
  await createApiKey(bed, service, 'key', { gracePeriod: '7 days' });
  const first = await bed.start('key');
  const phase = async () => (await first.query<{ phase: string }>('status')).phase;
  await until('the grace period', async () => (await phase()) === 'grace-period');
  await queue.send(leakOf('key', { id: 'INC-1' }));
  expect(await first.result()).toMatchObject({ outcome: 'rotated' });
  expect(await event('key', 'INC-1').result()).toEqual({ outcome: 'rotated' });
  expect((await bed.secrets.versionIds('key')).length).toBeGreaterThanOrEqual(3);
});

test('where the catalog says notify, people are told of a leak and nothing is rotated', async () => {
  await heed('notify');
  const { current } = await bed.secrets.labels('app');
  await queue.send(leakOf('app', { id: 'INC-2' }));
  expect(await isTold('leak-reported', ({ message }) => message.includes('notify'))).toMatchObject({
    next: `keyturn rotate ${bed.environment}/app --emergency`,
  });
  expect(await event('app', 'INC-2').result()).toEqual({ outcome: 'told' });
  expect((await bed.secrets.labels('app')).current).toBe(current);
  await heed('rotate');
});

test('a finding of GuardDuty about the keys of an IAM user is a leak of the secret that holds them', async () => {
  await heed('notify');
  const user = `exporter-${bed.environment}`;
  await bed.declare({ aws: { type: 'api-key', provider: { name: 'aws-iam', user } } });
  const finding = (userName: string) => ({
    id: randomUUID(),
    type: 'UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom',
    severity: 5,
    resource: { resourceType: 'AccessKey', accessKeyDetails: { userName, userType: 'IAMUser', accessKeyId: 'AKIA' } },
  });
  const foreign = await queue.send(eventBridge('aws.guardduty', 'GuardDuty Finding', finding('somebody-else')));
  await queue.send(eventBridge('aws.guardduty', 'GuardDuty Finding', finding(user)));
  const { message } = await isTold('leak-reported', ({ secret }) => secret === 'aws');
  expect(message).toContain('GuardDuty finding UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom');
  await isEmpty();
  expect(logged('event-ignored', foreign)).toHaveLength(1);
  await heed('rotate');
});

test.each(['PutSecretValue', 'UpdateSecret', 'DeleteSecret', 'RotateSecret'])(
  'people are told when somebody else calls %s on a declared secret, by its name or its ARN',
  async (operation) => {
    const arn = `arn:aws:secretsmanager:us-east-1:123456789012:secret:${bed.environment}/used-AbC123`;
    const secretId = operation === 'UpdateSecret' ? arn : `${bed.environment}/used`;
    await queue.send(recordedCall('secretsmanager', operation, { secretId }));
    expect(await isTold('changed-elsewhere', ({ message }) => message.includes(operation))).toMatchObject({
      secret: 'used',
      severity: 'warning',
      message: expect.stringContaining('user/mallory') as string,
    });
  },
);

test('what Keyturn does itself, what AWS refused and what concerns other secrets is not told of', async () => {
  const sts = new STSClient({});
  const { Arn } = await sts.send(new GetCallerIdentityCommand({}));
  sts.destroy();
  const before = told('changed-elsewhere').length;
  const refused = recordedCall('secretsmanager', 'PutSecretValue', { secretId: `${bed.environment}/app` });
  const sent = [
    await queue.send(recordedCall('secretsmanager', 'PutSecretValue', { secretId: `${bed.environment}/app` }, Arn)),
    await queue.send(recordedCall('secretsmanager', 'DeleteSecret', { secretId: `other/app` })),
    await queue.send({ ...refused, detail: { ...refused.detail, errorCode: 'AccessDenied' } }),
    await queue.send(eventBridge('aws.ec2', 'EC2 Instance State-change Notification', {})),
  ];
  await isEmpty();
  for (const messageId of sent) expect(logged('event-ignored', messageId)).toHaveLength(1);
  expect(told('changed-elsewhere')).toHaveLength(before);
});

test('people are told what a KMS key encrypts that is rotated, disabled or scheduled for deletion', async () => {
  const kms = new KMSClient({});
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.KeyId ?? '';
  const alias = `alias/${bed.environment}`;
  await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: KeyId }));
  for (const [secret, key] of [
    ['app', KeyMetadata?.Arn],
    ['used', alias],
  ] as const) {
    await bed.secretsManager.send(new UpdateSecretCommand({ SecretId: bed.secrets.idOf(secret), KmsKeyId: key }));
  }
  await queue.send(eventBridge('aws.kms', 'KMS CMK Rotation', { 'key-id': KeyId }));
  expect(await isTold('kms-key-changed', ({ message }) => message.includes('was rotated'))).toMatchObject({
    severity: 'info',
  });
  await queue.send(recordedCall('kms', 'ScheduleKeyDeletion', { keyId: KeyMetadata?.Arn ?? '' }));
  const { message, severity } = await isTold('kms-key-changed', (line) => line.message.includes('scheduled'));
  expect(severity).toBe('critical');
  expect(message).toContain(`${bed.environment}/app, ${bed.environment}/used`);
  const { KeyMetadata: other } = await kms.send(new CreateKeyCommand({}));
  kms.destroy();
  const disabled = recordedCall('kms', 'DisableKey', { keyId: other?.KeyId ?? '' });
  await queue.send(disabled);
  const handle = bed.client.workflow.getHandle(`event/kms-key/kms/${other?.KeyId}/${disabled.id}`);
  await isEmpty();
  expect(await handle.result()).toEqual({ outcome: 'nothing-affected' });
});

test('a message that cannot be read stays in the queue, is logged once without its text, and holds nothing up', async () => {
  const canary = randomBytes(16).toString('hex');
  bed.alsoSecret(() => [canary]);
  const poison = [
    `not JSON ${canary}`,
    '[]',
    'null',
    JSON.stringify({ [canary]: canary }),
    JSON.stringify(leakOf('app', { reason: 7 })),
    JSON.stringify(leakOf('app', { id: '../../x' })),
    JSON.stringify(leakOf('undeclared', { note: canary })),
    JSON.stringify(recordedCall('kms', 'DisableKey', { keyId: canary.repeat(40) })),
    JSON.stringify(eventBridge('aws.kms', 'KMS CMK Rotation', { 'key-id': `${canary}?` })),
    JSON.stringify(eventBridge('aws.secretsmanager', 'AWS API Call via CloudTrail', { eventName: canary })),
    JSON.stringify(leakOf('app', { note: 'x'.repeat(70_000) })),
  ];
  const sent = [];
  for (const body of poison) sent.push(await queue.send(body));
  await queue.send(leakOf('used', { id: 'INC-3', reason: `a log shows password=${canary}` }));
  for (const messageId of sent) {
    await until('it is logged', async () => logged('event-not-understood', messageId).length > 0);
  }
  await until('the other is accepted', async () => (await queue.size()) === poison.length);
  expect(await event('used', 'INC-3').result()).toEqual({ outcome: 'rotated' });
  for (const messageId of sent) expect(logged('event-not-understood', messageId)).toHaveLength(1);
  expect(lines().some((line) => line['event'] === 'events-not-polled')).toBe(false);
});

test('an event for which Temporal refuses a workflow is left, and does not count as an outage', async () => {
  const named = {
    kind: 'kms-key',
    keyId: 'x'.repeat(2_000),
    change: 'disabled',
    at: new Date().toISOString(),
  } as const;
  expect(await startEvent(bed.client.workflow, bed.taskQueue, named, 'too-long')).toEqual({
    left: expect.stringMatching(/^Temporal refuses a workflow for it: ./) as string,
  });
});

test('a worker that is told to stop does so at once, while it waits for messages', async () => {
  const stopping = await bed.startWorker();
  const began = Date.now();
  await stopping.stop();
  expect(Date.now() - began).toBeLessThan(8_000);
  expect(stopping.output()).toContain('worker-stopped');
  expect(stopping.output()).not.toContain('events-not-polled');
});
