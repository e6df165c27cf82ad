import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { callName, loseAwsAnswers } from './testbed/aws-wire';
import { createKeySubjects, expectRotated } from './testbed/key-subjects';
import type { KeySubjects } from './testbed/key-subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let subjects: KeySubjects;
let aws: FaultProxy;

beforeAll(async () => {
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed({ stepTimeout: '2 minutes' });
  subjects = createKeySubjects(bed);
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  await Promise.all([subjects.stop(), aws.stop()]);
});

/** Calls that change something, as this recipe makes them, to either of the two secrets. */
const WRITES = [
  'primary PutSecretValue',
  'primary UpdateSecretVersionStage AWSCURRENT',
  'primary UpdateSecretVersionStage AWSPENDING',
  'secondary CreateSecret',
  'secondary PutSecretValue',
  'secondary UpdateSecretVersionStage AWSCURRENT',
  'secondary UpdateSecretVersionStage AWSPENDING',
  'secondary TagResource',
  'secondary DeleteSecret',
];

/** The SDK hears the second of its three attempts. */
const SDK_TRIES_AGAIN = 1;
/** The SDK hears nothing, so that the step is tried again. */
const STEP_IS_TRIED_AGAIN = 3;

/** Rotates again and again, each time with the answers to one write later lost, until there is no such write. */
async function loseEachWriteInTurn(attempts: number): Promise<string[]> {
  const subject = await subjects.create(`lost-${attempts}`);
  const { secretId, secret, secondary, service } = subject;
  const lost: string[] = [];
  for (;;) {
    const { current } = await bed.secrets.labels(secret);
    let left = lost.length;
    const isWrite = (text: string) => WRITES.some((write) => write.endsWith(` ${text}`));
    const answers = loseAwsAnswers(
      aws,
      (request) => {
        const about = String(request.body['SecretId'] ?? request.body['Name']);
        const ours = about === secretId || about === bed.secrets.idOf(secondary);
        return ours && isWrite(callName(request)) && left-- === 0;
      },
      attempts,
    );
    const result: unknown = await bed.rotate(secret).catch((error: Error) => error.cause ?? error);
    const { call } = answers;
    expect({ lost: call && callName(call), result }).toMatchObject({ result: { outcome: 'rotated' } });
    await expectRotated(bed, subject, result);
    expect((await bed.secrets.labels(secret)).previous).toBe(current);
    expect(service.requests('POST /keys')).toBe(lost.length + 1);
    if (!call) return lost;
    const about = String(call.body['SecretId'] ?? call.body['Name']);
    lost.push(`${about === secretId ? 'primary' : 'secondary'} ${callName(call)}`);
  }
}

test('a rotation makes one key and leaves nothing over, whichever write to Secrets Manager has its answer lost', async () => {
  const all = await Promise.all([SDK_TRIES_AGAIN, STEP_IS_TRIED_AGAIN].map(loseEachWriteInTurn));
  for (const lost of all) expect(new Set(lost)).toEqual(new Set(WRITES));
}, 300_000);
