import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { callName, loseAwsAnswers } from './testbed/aws-wire';
import { startUnreliablePostgres } from './testbed/postgres-wire';
import type { UnreliablePostgres } from './testbed/postgres-wire';
import { createSubject, DRAWN_KINDS } from './testbed/subjects';
import type { DrawnKind, Subject } from './testbed/subjects';
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

/** After so many the SDK gives up, and the compensation has to be tried again. */
const SDK_ATTEMPTS = 3;

/** Arms the loss of one answer. @returns what was lost, asked for afterwards. */
type Lose = (nth: number) => () => string | undefined;

/** Loses one answer later in each rollback, until there is no such answer. */
async function loseEachAnswerInTurn(subject: Subject, lose: Lose) {
  const lost: string[] = [];
  const failures: { lost: string; failure: unknown }[] = [];
  for (;;) {
    let lostNow = (): string | undefined => undefined;
    const failure = await abortOncePromoted(subject, () => {
      lostNow = lose(lost.length);
    }).catch((error: unknown) => error);
    const answer = lostNow();
    if (failure) failures.push({ lost: answer ?? 'nothing', failure });
    if (answer === undefined) return { lost, failures };
    lost.push(answer);
  }
}

/** A rotation that is aborted once AWSCURRENT has moved, and what must be true of its rollback. */
async function abortOncePromoted({ kind, secret, opens }: Subject, arm: () => void): Promise<void> {
  const before = await bed.secrets.labels(secret);
  const promoted = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'after' } as const;
  await bed.pauses.stopAt(promoted);
  const handle = await bed.start(secret);
  await bed.pauses.reached(promoted);
  arm();
  await handle.signal('abort', { reason: 'to see it rolled back' });
  await bed.pauses.goOn(promoted);

  expect(await handle.result()).toMatchObject({ outcome: 'aborted', versions: { current: before.current } });
  expect(await bed.secrets.labels(secret)).toEqual(before);
  expect(await opens()).toBe(true);
  if (kind === 'app-secret') return;
  expect(await bed.databases.opens(secret, { versionId: handle.firstExecutionRunId })).toBe(false);
}

async function loseAllKindsOfAnswers(kind: DrawnKind) {
  const server: UnreliablePostgres = await startUnreliablePostgres(bed.databases.port);
  try {
    const subject = await createSubject(bed, kind, `aborted/${kind}`, {}, { port: server.port });
    // So that there is an AWSPREVIOUS to be kept.
    await bed.rotate(subject.secret);
    const fromAws = await loseEachAnswerInTurn(subject, (nth) => {
      let left = nth;
      const { secret } = subject;
      const concerns = (id: unknown) => String(id).startsWith(bed.secrets.idOf(secret));
      // Told twice to put a label on a version, moto has it there twice, and takes it off once; AWS has it there once.
      const putsOn = (body: Record<string, unknown>) => body['MoveToVersionId'] && !body['RemoveFromVersionId'];
      const lost = loseAwsAnswers(
        aws,
        ({ body }) => concerns(body['SecretId']) && !putsOn(body) && left-- === 0,
        SDK_ATTEMPTS,
      );
      return () => lost.call && callName(lost.call);
    });
    const loseFromPostgres = (what: 'loseLogin' | 'loseStatement') =>
      loseEachAnswerInTurn(subject, (nth) => {
        const lost = server[what](nth);
        return () => lost.request;
      });
    const ends = [fromAws, await loseFromPostgres('loseLogin'), await loseFromPostgres('loseStatement')];
    return { lost: ends.flatMap(({ lost }) => lost), failures: ends.flatMap(({ failures }) => failures) };
  } finally {
    await server.stop();
  }
}

const MOVES_BACK = ['UpdateSecretVersionStage AWSCURRENT', 'UpdateSecretVersionStage AWSPREVIOUS'];
const MUST_BE_LOST: Record<DrawnKind, string[]> = {
  'app-secret': MOVES_BACK,
  'single-user': [...MOVES_BACK, 'ALTER ROLE', 'login, opened', 'login, refused'],
  'alternating-users': [...MOVES_BACK, 'ALTER ROLE', 'login, opened'],
};

test('a rotation is rolled back completely whichever answer to its compensations is lost', async () => {
  const all = await Promise.all(DRAWN_KINDS.map(async (kind) => ({ kind, ...(await loseAllKindsOfAnswers(kind)) })));
  for (const { kind, lost, failures } of all) {
    expect({ kind, failures }).toEqual({ kind, failures: [] });
    expect(lost).toEqual(expect.arrayContaining(MUST_BE_LOST[kind]));
  }
});
