import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest, callName, loseAwsAnswers } from './testbed/aws-wire';
import type { AwsRequest } from './testbed/aws-wire';
import { createSubject, KINDS } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let aws: FaultProxy;

beforeAll(async () => {
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed();
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(async () => {
  await bed.close();
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

/** Rotates again and again, each time with one call later lost, until there is no such call. @returns the calls, and what failed. */
async function loseEachCall(secret: string, attempts: number, holds: () => Promise<unknown>) {
  const calls: string[] = [];
  const failures: { call: string; failure: unknown }[] = [];
  for (;;) {
    const { current } = await bed.secrets.labels(secret);
    let left = calls.length;
    const lost = loseAwsAnswers(aws, (request) => concerns(secret, request) && left-- === 0, attempts);
    const failure = await bed
      .rotate(secret)
      .then(async ({ versions }) => {
        expect(await bed.secrets.labels(secret)).toEqual({ current: versions.current, previous: current });
        expect(await holds()).toBe(true);
      })
      .catch((error: unknown) => error);
    const call = lost.call ? callName(lost.call) : 'none';
    if (failure) failures.push({ call, failure });
    if (!lost.call) return { calls, failures };
    calls.push(call);
  }
}

test('a rotation succeeds with the answers to any one call lost, until the step is tried again', async () => {
  await Promise.all(
    KINDS.map(async (kind) => {
      const { secret, opens } = await createSubject(bed, kind, `step/${kind}`);
      const { calls, failures } = await loseEachCall(secret, STEP_IS_TRIED_AGAIN, opens);
      expect({ kind, failures }).toEqual({ kind, failures: [] });
      expect(calls).toEqual(expect.arrayContaining(['DescribeSecret', 'GetSecretValue', ...WRITES]));
      // The first, and one for each rotation: the last one lost nothing.
      expect(await bed.secrets.versionIds(secret)).toHaveLength(1 + calls.length + 1);
    }),
  );
});

test('a rotation succeeds with the first answer to every call lost, and what the SDK sends again is no mistake', async () => {
  await Promise.all(
    KINDS.map(async (kind) => {
      const { secret, opens } = await createSubject(bed, kind, `sdk/${kind}`);
      const { calls, failures } = await loseEachCall(secret, SDK_TRIES_AGAIN, opens);
      expect({ kind, failures }).toEqual({ kind, failures: [] });
      expect(calls).toEqual(expect.arrayContaining(WRITES));
    }),
  );
});
