import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { callName, loseAwsAnswers } from './testbed/aws-wire';
import type { AwsRequest } from './testbed/aws-wire';
import { createSubject, DRAWN_KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let aws: FaultProxy;

beforeAll(async () => {
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed();
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  await aws.stop();
});

/** Whether a request is about this secret, or about that of its administrator. */
const concerns = (secret: string, { body }: AwsRequest) =>
  String(body['SecretId'] ?? body['Name']).startsWith(bed.secrets.idOf(secret));

/** The SDK hears the second of its three attempts. */
const SDK_TRIES_AGAIN = 1;
/** The SDK hears nothing, so that the step is tried again. */
const STEP_IS_TRIED_AGAIN = 3;

/** Every kind of call that changes something; each must have been among those that were lost. */
const WRITES = ['PutSecretValue', 'UpdateSecretVersionStage AWSCURRENT', 'UpdateSecretVersionStage AWSPENDING'];

interface Survived {
  kind: Kind;
  /** Every call of a rotation in its order. */
  calls: string[];
  versions: number;
  failures: { call: string; failure: unknown }[];
}

/** Rotates again and again, each time with the answers to one call later lost, until there is no such call. */
async function loseEachCallInTurn(kind: Kind, attempts: number): Promise<Survived> {
  const { secret, opens } = await createSubject(bed, kind, `lost-${attempts}/${kind}`);
  const calls: string[] = [];
  const failures: Survived['failures'] = [];
  for (;;) {
    const { current } = await bed.secrets.labels(secret);
    let left = calls.length;
    const lost = loseAwsAnswers(aws, (request) => concerns(secret, request) && left-- === 0, attempts);
    const failure = await bed
      .rotate(secret)
      .then(async ({ versions }) => {
        expect(await bed.secrets.labels(secret)).toEqual({ current: versions.current, previous: current });
        expect(await opens()).toBe(true);
      })
      .catch((error: unknown) => error);
    if (failure) failures.push({ call: lost.call ? callName(lost.call) : 'none', failure });
    if (!lost.call) return { kind, calls, versions: (await bed.secrets.versionIds(secret)).length, failures };
    calls.push(callName(lost.call));
  }
}

test.each([
  ['only a new attempt of the step helps', STEP_IS_TRIED_AGAIN],
  ['the SDK sends the call again by itself', SDK_TRIES_AGAIN],
])('a rotation succeeds whichever call has its answer lost, where %s', async (_what, attempts) => {
  const all = await Promise.all(DRAWN_KINDS.map((kind) => loseEachCallInTurn(kind, attempts)));
  for (const { kind, calls, versions, failures } of all) {
    expect({ kind, failures }).toEqual({ kind, failures: [] });
    expect(calls).toEqual(expect.arrayContaining(['DescribeSecret', 'GetSecretValue', ...WRITES]));
    // The first, and one for each rotation: the last one lost nothing.
    expect(versions).toBe(1 + calls.length + 1);
  }
});
