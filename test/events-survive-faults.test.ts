import { randomBytes, randomUUID } from 'node:crypto';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest } from './testbed/aws-wire';
import { createEventQueue, eventBridge } from './testbed/event-queue';
import type { EventQueue } from './testbed/event-queue';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let sqs: FaultProxy;
let queue: EventQueue;
let env: Record<string, string>;

beforeAll(async () => {
  sqs = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed();
  bed.alsoStop(sqs);
  queue = await createEventQueue(bed);
  await bed.declare({ app: { type: 'app-secret' } });
  await bed.secrets.create('app', randomBytes(24).toString('hex'));
  const { pathname } = new URL(queue.url);
  await bed.declareEvents({ queueUrl: `http://127.0.0.1:${sqs.port}${pathname}`, leak: 'rotate' });
  env = { AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${sqs.port}` };
});
afterAll(() => bed.close());

const leak = (id: string) =>
  eventBridge(
    'com.example.scanner',
    'keyturn.leak',
    { environment: bed.environment, secret: 'app', reason: 'seen in a repository' },
    id,
  );
const event = (id: string) => bed.client.workflow.getHandle(`event/leak/${bed.environment}/app/${id}`);
const isEmpty = () => until('the queue is empty', async () => (await queue.size()) === 0, { withinMs: 90_000 });
const count = (output: string, text: string) => output.split(text).length - 1;

test('a worker killed between starting the rotation and deleting the message does not rotate twice', async () => {
  const versions = (await bed.secrets.versionIds('app')).length;
  const refused = awsErrorResponse('InternalError', 'not now', 500);
  sqs.answerWith((bytes) => awsRequest(bytes).operation === 'DeleteMessage', refused, 3);
  const worker = await bed.startWorker(env);
  const id = randomUUID();
  await queue.send(leak(id));
  await until('deleting is tried', async () => sqs.hits === 3);
  await worker.kill('SIGKILL');
  expect(await queue.size()).toBe(1);
  const next = await bed.startWorker(env);
  expect(await event(id).result()).toEqual({ outcome: 'rotated' });
  await isEmpty();
  expect(await bed.secrets.versionIds('app')).toHaveLength(versions + 1);
  await next.stop();
});

test('while SQS is down a worker rotates as ever and says so once; afterwards it takes up what has come', async () => {
  const worker = await bed.startWorker(env);
  await sqs.refuse();
  await until('it is noticed', async () => worker.output().includes('events-not-polled'));
  const id = randomUUID();
  await queue.send(leak(id));
  expect(await bed.rotate('app')).toMatchObject({ outcome: 'rotated' });
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  expect(count(worker.output(), '"events-not-polled"')).toBe(1);
  await sqs.accept();
  await isEmpty();
  expect(await event(id).result()).toEqual({ outcome: 'rotated' });
  await until('it says so', async () => count(worker.output(), '"events-polled"') === 1);
  await worker.stop();
});
