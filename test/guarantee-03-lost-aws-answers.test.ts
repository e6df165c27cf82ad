import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { awsRequest, loseAwsAnswer } from './testbed/aws-wire';
import type { AwsRequest } from './testbed/aws-wire';
import { createSubject, KINDS } from './testbed/subjects';
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
afterAll(async () => {
  await bed.close();
  await aws.stop();
});

/** Whether a request is about this secret, or about the one of its administrator. */
const concerns = (secret: string, { body }: AwsRequest) =>
  String(body['SecretId'] ?? body['Name']).startsWith(bed.secrets.idOf(secret));

/** How many answers of one call are lost: the SDK hears the last of its three attempts, or the step has to be tried again. */
const SDK_RETRIES = 1;
const STEP_RETRIES = 3;

const WRITES: Record<Kind, string[]> = {
  'app-secret': ['PutSecretValue', 'AWSCURRENT', 'AWSPENDING'],
  'single-user': ['PutSecretValue', 'AWSCURRENT', 'AWSPENDING'],
  'alternating-users': ['PutSecretValue', 'AWSCURRENT', 'AWSPENDING'],
};

/** A call as a person would name it. */
const nameOf = ({ operation, body }: AwsRequest) => [operation, body['VersionStage']].filter(Boolean).join(' ');

test.each(KINDS)('%s: a rotation succeeds whichever call has its answers lost until the step is tried again', async (kind) => {
  const { secret, opens } = await createSubject(bed, kind, `each-call/${kind}`);
  const survived: string[] = [];
  for (let nth = 0; ; nth += 1) {
    const { current } = await bed.secrets.labels(secret);
    let calls = 0;
    const lost = loseAwsAnswer(aws, (request) => concerns(secret, request) && calls++ === nth, STEP_RETRIES);
    const { versions } = await bed.rotate(secret);
    expect(await bed.secrets.labels(secret)).toEqual({ current: versions.current, previous: current });
    expect(await opens()).toBe(true);
    if (!lost.call) break;
    survived.push(nameOf(lost.call));
  }
  expect(survived).toEqual(expect.arrayContaining(['DescribeSecret', 'GetSecretValue', 'PutSecretValue']));
  expect(await bed.secrets.versionIds(secret)).toHaveLength(survived.length + 2);
});
