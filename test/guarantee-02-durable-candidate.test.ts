import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequests, loseAwsAnswers } from './testbed/aws-wire';
import { createSubject, DRAWN_KINDS } from './testbed/subjects';
import type { DrawnKind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';
import type { WorkerProcess } from './lab/worker-process';

let bed: Testbed;
let tap: WireTap;
let aws: FaultProxy;
let worker: WorkerProcess;

beforeAll(async () => {
  tap = await startWireTap(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  aws = await startFaultProxy(tap.port);
  bed = await openTestbed();
  worker = await startWorker();
});
afterAll(() => bed.close());
afterAll(async () => {
  await aws.stop();
  await tap.stop();
});

const startWorker = () => bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });

/** What PutSecretValue and CreateSecret were sent for a secret, each attempt of it. */
function storedBy(secret: string): { ClientRequestToken?: string; SecretString?: string }[] {
  const secretId = bed.secrets.idOf(secret);
  return awsRequests(tap.connections)
    .filter(({ operation }) => operation === 'PutSecretValue' || operation === 'CreateSecret')
    .map(({ body }) => body)
    .filter(({ SecretId, Name }) => SecretId === secretId || Name === secretId);
}

/** The step that first touches what readers or the target system see. */
const TOUCHES: Record<DrawnKind, string> = {
  'app-secret': 'promote',
  'single-user': 'setPassword',
  'alternating-users': 'prepareLogin',
};

test.each(DRAWN_KINDS)(
  '%s: the candidate is stored under the ID of the run before anything else is touched',
  async (kind) => {
    const { secret, situation, opens } = await createSubject(bed, kind, `stored-first/${kind}`);
    const before = await situation();
    const point = { secretId: bed.secrets.idOf(secret), step: TOUCHES[kind], when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);

    const runId = handle.firstExecutionRunId;
    const now = await situation();
    expect(now.labels).toEqual({ ...before.labels, pending: runId });
    expect(now.versions[runId]).not.toBe(now.versions[before.labels.current ?? '']);
    expect(now.roles).toEqual(before.roles);
    expect(await opens()).toBe(true);
    if (kind !== 'app-secret') expect(await bed.databases.opens(secret, 'AWSPENDING')).toBe(false);

    const stored = now.versions[runId];
    await bed.pauses.goOn(point);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { current: runId } });
    expect(await bed.secrets.value(secret)).toBe(stored);
    expect(await opens()).toBe(true);
  },
);

const LOST = [
  { answers: 'one answer', attempts: 1 },
  { answers: 'every answer of an attempt', attempts: 3 },
];

describe.each(LOST)('with $answers of Secrets Manager lost', ({ attempts }) => {
  test.each(DRAWN_KINDS)('%s: a stored candidate is kept and not drawn anew', async (kind) => {
    const { secret, opens } = await createSubject(bed, kind, `stored-once-${attempts}/${kind}`);
    const versionsBefore = await bed.secrets.versionIds(secret);
    const lost = loseAwsAnswers(aws, ({ operation }) => operation === 'PutSecretValue', attempts);
    const { versions } = await bed.rotate(secret);

    expect(lost.call?.body['ClientRequestToken']).toBe(versions.current);
    const stored = storedBy(secret);
    expect(stored.length).toBeGreaterThanOrEqual(attempts);
    expect(new Set(stored.map(({ ClientRequestToken }) => ClientRequestToken))).toEqual(new Set([versions.current]));
    expect(new Set(stored.map(({ SecretString }) => SecretString))).toEqual(new Set([await bed.secrets.value(secret)]));
    expect(new Set(await bed.secrets.versionIds(secret))).toEqual(new Set([...versionsBefore, versions.current]));
    expect(await opens()).toBe(true);
  });

  test('a secret that is created gets exactly one version', async () => {
    const secret = `created-${attempts}`;
    await bed.declare({ [secret]: { type: 'app-secret' } });
    const lost = loseAwsAnswers(aws, ({ operation }) => operation === 'CreateSecret', attempts);
    const { versions } = await bed.rotate(secret);

    expect(lost.call?.body['ClientRequestToken']).toBe(versions.current);
    expect(await bed.secrets.versionIds(secret)).toEqual([versions.current]);
    expect(new Set(storedBy(secret).map(({ SecretString }) => SecretString))).toEqual(
      new Set([await bed.secrets.value(secret)]),
    );
  });
});

test('a worker killed once the candidate was stored is followed by one that uses the same candidate', async () => {
  const subjects = await Promise.all(DRAWN_KINDS.map((kind) => createSubject(bed, kind, `killed/${kind}`)));
  const points = subjects.map(({ secret }) => {
    return { secretId: bed.secrets.idOf(secret), step: 'createCandidate', when: 'after' } as const;
  });
  await Promise.all(points.map((point) => bed.pauses.stopAt(point)));
  const handles = await Promise.all(subjects.map(({ secret }) => bed.start(secret)));
  await Promise.all(points.map((point) => bed.pauses.reached(point)));
  const stored = await Promise.all(subjects.map(({ secret }) => bed.secrets.value(secret, 'AWSPENDING')));

  await worker.kill();
  await Promise.all(points.map((point) => bed.pauses.goOn(point)));
  worker = await startWorker();
  await Promise.all(handles.map((handle) => handle.result()));

  for (const [index, { secret, opens }] of subjects.entries()) {
    expect(await bed.secrets.value(secret)).toBe(stored[index]);
    expect(storedBy(secret)).toHaveLength(1);
    expect(await opens()).toBe(true);
  }
});
