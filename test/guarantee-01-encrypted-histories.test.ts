import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { readConfig } from '../src/runtime/config';
import { connectTemporal } from '../src/runtime/connect-temporal';
import { DataKeyRing } from '../src/runtime/data-keys';
import { createKmsDataKeySource } from '../src/runtime/kms-data-keys';
import { createEncryptingCodec } from '../src/runtime/payload-codec';
import type { RotationStatus } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { leaksIn } from './testbed/scan';
import { createSubject, KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

/** With KEYTURN_PAYLOAD_KMS_KEY a reader of Temporal's database learns neither what happened nor why; and no value, even with the key. */
const REASON = 'a reason that only operators read';
const NIGHT_SHIFT = 'the night shift';

let bed: Testbed;
let kms: KMSClient;
let kmsKey: string;
let dependent: TestDependent;
let client: Client;
let closeClient: () => Promise<void>;
/** Histories and descriptions, as the server holds them. */
let held: unknown[];

beforeAll(async () => {
  kms = new KMSClient({});
  kmsKey = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
  bed = await openTestbed();
  dependent = await startDependent('a service that is named in messages', '1 second');
  await bed.startWorker({ KEYTURN_PAYLOAD_KMS_KEY: kmsKey });
  ({ client, close: closeClient } = await connectTemporal(readConfig({ ...bed.env, KEYTURN_PAYLOAD_KMS_KEY: kmsKey })));
  for (const kind of KINDS) await createSubject(bed, kind, kind, { dependents: [dependent.declaration] });
  await Promise.all(KINDS.map(rotateAndAbort));
  dependent.answer(503);
  await Promise.all(KINDS.map(failToRotate));
  held = await whatTemporalHolds();
});
afterAll(async () => {
  try {
    await bed.close();
  } finally {
    await Promise.all([dependent.stop(), closeClient()]);
    kms.destroy();
  }
});

const WORKFLOWS: Record<Kind, string> = {
  'app-secret': 'rotateAppSecret',
  'single-user': 'rotateDatabaseCredential',
  'alternating-users': 'rotateDatabaseCredential',
  'api-key': 'rotateApiKey',
};

const start = (kind: Kind) =>
  client.workflow.start(WORKFLOWS[kind], {
    taskQueue: bed.taskQueue,
    workflowId: `rotation/${bed.secrets.idOf(kind)}`,
    args: [{ environment: bed.environment, secret: kind, reason: REASON, requestedBy: NIGHT_SHIFT }],
    staticSummary: REASON,
    staticDetails: REASON,
  });

async function rotateAndAbort(kind: Kind): Promise<void> {
  expect(await (await start(kind)).result()).toMatchObject({ outcome: 'rotated' });
  const point = { secretId: bed.secrets.idOf(kind), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const aborted = await start(kind);
  await bed.pauses.reached(point);
  await aborted.signal('abort', { reason: REASON, requestedBy: NIGHT_SHIFT });
  const refused = aborted.executeUpdate('extendGracePeriod', { args: [{ by: REASON, requestedBy: NIGHT_SHIFT }] });
  await expect(refused).rejects.toThrow();
  await bed.pauses.goOn(point);
  expect(await aborted.result()).toMatchObject({ outcome: 'aborted' });
  expect(await aborted.query<RotationStatus>('status')).toMatchObject({ reason: REASON });
}

async function failToRotate(kind: Kind): Promise<void> {
  const { message } = await failureOf((await start(kind)).result());
  expect(message).toContain(dependent.origin);
}

async function whatTemporalHolds(): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const { workflowId, runId } of bed.client.workflow.list({ query: `TaskQueue = '${bed.taskQueue}'` })) {
    const handle = bed.client.workflow.getHandle(workflowId, runId);
    all.push(await handle.fetchHistory(), (await handle.describe()).raw);
  }
  return all;
}

const isPayload = (value: unknown): value is Payload =>
  typeof value === 'object' && value !== null && 'metadata' in value && 'data' in value;

const encodingOf = ({ metadata }: Payload) => Buffer.from(metadata?.['encoding'] ?? []).toString();

/** Search attributes stay readable: the server itself searches for them. */
function* payloadsIn(value: unknown, name = ''): Generator<Payload> {
  if (typeof value !== 'object' || value === null || name === 'indexedFields') return;
  if (isPayload(value)) yield value;
  else for (const [field, part] of Object.entries(value)) yield* payloadsIn(part, field);
}

test('every payload is encrypted, but for the names and times of activities, and the names of patches', () => {
  const payloads = [...payloadsIn(held)];
  const readable = payloads.filter((payload) => encodingOf(payload) !== 'binary/encrypted');
  expect(payloads.length).toBeGreaterThan(5 * readable.length);
  const known = [
    'seq',
    'attempt',
    'activity_id',
    'activity_type',
    'complete_time',
    'backoff',
    'original_schedule_time',
    'id',
    'deprecated',
  ];
  for (const { data } of readable) {
    const note = JSON.parse(Buffer.from(data ?? []).toString()) as Record<string, unknown>;
    expect(known).toEqual(expect.arrayContaining(Object.keys(note)));
  }
});

test('no message, stack, summary, reason or person is readable', () => {
  const readable = JSON.stringify(held, (_name, value: unknown) => (isPayload(value) ? null : value));
  expect(readable).toContain('Encoded failure');
  for (const text of [
    REASON,
    NIGHT_SHIFT,
    dependent.origin,
    'AWSCURRENT',
    'candidate',
    '.ts:',
    '.js:',
    bed.databases.host,
  ]) {
    expect(readable).not.toContain(text);
  }
});

test('what is decrypted tells the story, and holds no value', async () => {
  const { client: plain } = bed;
  const keys = new DataKeyRing(createKmsDataKeySource(kms, kmsKey, plain.options.namespace), () => undefined);
  const encrypted = [...payloadsIn(held)].filter((payload) => encodingOf(payload) === 'binary/encrypted');
  const decrypted = await createEncryptingCodec(keys).decode(encrypted);
  const text = decrypted.map(({ data }) => Buffer.from(data ?? []).toString()).join('\n');
  for (const expected of [REASON, NIGHT_SHIFT, dependent.origin, 'AWSCURRENT']) expect(text).toContain(expected);
  const canaries = await bed.secrets.everyValue();
  expect(canaries.length).toBeGreaterThan(10);
  expect(await leaksIn([{ name: 'what is decrypted', text }], canaries)).toEqual([]);
});
