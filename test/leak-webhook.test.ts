import { randomBytes, randomUUID } from 'node:crypto';
import { CreateSecretCommand, DeleteSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Webhook } from 'standardwebhooks';
import { handler } from '../src/client/leak-webhook/handler';
import type { FunctionUrlEvent } from '../src/client/leak-webhook/leak-webhook';
import { LeakWebhook } from '../src/client/leak-webhook/leak-webhook';
import { SigningKeys } from '../src/client/leak-webhook/signing-keys';
import { createEventQueue } from './testbed/event-queue';
import type { EventQueue } from './testbed/event-queue';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

/** Leaks that are reported by a webhook: what is signed is acted on, and nothing else reaches the queue. */

let bed: Testbed;
let queue: EventQueue;
const secretId = `keyturn/leak-webhook-${randomUUID()}`;
const newKey = () => `whsec_${randomBytes(32).toString('base64')}`;
const key = newKey();
const sqs = new SQSClient({});

beforeAll(async () => {
  bed = await openTestbed();
  queue = await createEventQueue(bed);
  await bed.secretsManager.send(new CreateSecretCommand({ Name: secretId, SecretString: key }));
  process.env.KEYTURN_EVENTS_QUEUE_URL = queue.url;
  process.env.KEYTURN_WEBHOOK_KEY_SECRET = secretId;
});
afterAll(async () => {
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: secretId, ForceDeleteWithoutRecovery: true }));
  sqs.destroy();
  await bed.close();
});

const leakOf = (secret: string) =>
  JSON.stringify({ environment: bed.environment, secret, reason: 'seen in a build log' });

/** What a sender with that key posts, at that time. */
function signed(body: string, by = key, id = randomUUID() as string, at = new Date()): FunctionUrlEvent {
  return {
    requestContext: { http: { method: 'POST' } },
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(by).sign(id, at, body),
    },
    body,
  };
}

async function received(): Promise<string[]> {
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.url, VisibilityTimeout: 0 }));
  return Messages.map(({ Body = '' }) => Body);
}

test.each<[string, number, () => FunctionUrlEvent]>([
  ['is not signed', 401, () => ({ ...signed(leakOf('app')), headers: {} })],
  ['is signed with another key', 401, () => signed(leakOf('app'), newKey())],
  ['was changed on its way', 401, () => ({ ...signed(leakOf('app')), body: leakOf('other') })],
  ['was signed long ago', 401, () => signed(leakOf('app'), key, randomUUID(), new Date(Date.now() - 360_000))],
  ['is no JSON', 400, () => signed('{')],
  ['names no secret', 400, () => signed(JSON.stringify({ environment: bed.environment, reason: 'a typo' }))],
  ['is another event', 400, () => signed(JSON.stringify({ id: 'a', source: 'b', 'detail-type': 'c', detail: {} }))],
  ['has an ID that can be none', 400, () => signed(leakOf('app'), key, 'a b')],
  ['is too long', 413, () => signed(JSON.stringify({ padding: 'x'.repeat(20_000) }))],
  ['is no POST', 405, () => ({ ...signed(leakOf('app')), requestContext: { http: { method: 'GET' } } })],
])('a report that %s is refused with %i, and nothing reaches the queue', async (_what, status, event) => {
  const { statusCode, body } = await handler(event());
  expect(statusCode).toBe(status);
  expect((JSON.parse(body) as { error: string }).error).toMatch(/\. Nothing was reported\.$/);
  expect(body).not.toContain(key.slice('whsec_'.length));
  expect(await received()).toEqual([]);
});

test('senders that have the key of before, and those that have the next one, are heard while the key is changed', async () => {
  const taken: string[] = [];
  const own = `keyturn/leak-webhook-${randomUUID()}`;
  const [before, after, never] = [newKey(), newKey(), newKey()] as const;
  await bed.secretsManager.send(new CreateSecretCommand({ Name: own, SecretString: before }));
  const keys = new SigningKeys(bed.secretsManager, own);
  const scripted = { send: (command: { input: { MessageBody: string } }) => taken.push(command.input.MessageBody) };
  const webhook = new LeakWebhook(keys, scripted as unknown as SQSClient, queue.url);
  const statusBy = async (by: string) => (await webhook.answer(signed(leakOf('app'), by))).statusCode;
  expect(await statusBy(before)).toBe(202);
  await bed.secretsManager.send(new PutSecretValueCommand({ SecretId: own, SecretString: after }));
  expect(await Promise.all([before, after, never].map(statusBy))).toEqual([202, 202, 401]);
  expect(taken).toHaveLength(3);
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: own, ForceDeleteWithoutRecovery: true }));
});

test('a key that is too short opens nothing, and the sender is told to come again', async () => {
  const own = `keyturn/leak-webhook-${randomUUID()}`;
  await bed.secretsManager.send(new CreateSecretCommand({ Name: own, SecretString: 'whsec_c2hvcnQ=' }));
  const webhook = new LeakWebhook(new SigningKeys(bed.secretsManager, own), sqs, queue.url);
  await expect(webhook.answer(signed(leakOf('app'), 'whsec_c2hvcnQ='))).rejects.toThrow('holds no signing key');
  await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: own, ForceDeleteWithoutRecovery: true }));
});

test('a leak that a webhook reports is rotated as an emergency, once, however often it is sent', async () => {
  await bed.secrets.create('app', 'first-value-of-app');
  await bed.declare({ app: { type: 'app-secret' } });
  await bed.declareEvents({ queueUrl: queue.url, leak: 'rotate' });
  const before = await bed.secrets.labels('app');
  const report = signed(leakOf('app'));
  for (let times = 0; times < 2; times++) {
    const body = Buffer.from(report.body ?? '').toString('base64');
    expect(await handler({ ...report, body, isBase64Encoded: true })).toMatchObject({
      statusCode: 202,
      body: JSON.stringify({ accepted: `${bed.environment}/app` }),
    });
  }
  await bed.startWorker();
  await until('it is rotated', async () => (await bed.secrets.labels('app')).previous === before.current);
  await until('the queue is empty', async () => (await queue.size()) === 0);
  const id = report.headers?.['webhook-id'] ?? '';
  const event = bed.client.workflow.getHandle(`event/leak/${bed.environment}/app/${id}`);
  expect(await event.result()).toEqual({ outcome: 'rotated' });
  expect(await bed.secrets.versionIds('app')).toHaveLength(2);
});
