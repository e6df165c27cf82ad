import { setTimeout as delay } from 'node:timers/promises';
import { awsErrorResponse, startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import type { Point } from './testbed/pauses';
import { startUnreliablePostgres } from './testbed/postgres-wire';
import type { UnreliablePostgres } from './testbed/postgres-wire';
import { createSubject, KINDS, LEAVES_MOST_AFTER } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let aws: FaultProxy;
let postgres: UnreliablePostgres;

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '2 minutes', rollbackTimeout: '2 minutes' });
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  postgres = await startUnreliablePostgres(bed.databases.port);
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  await aws.stop();
  await postgres.stop();
});

const subjectOf = (kind: Kind, secret: string) => createSubject(bed, kind, secret, {}, { port: postgres.port });

test('a rotation waits out 30 seconds without AWS and PostgreSQL, wherever it stands, and finishes by itself', async () => {
  const places: { kind: Kind; step: string; when: Point['when'] }[] = [
    { kind: 'app-secret', step: 'createCandidate', when: 'before' },
    { kind: 'app-secret', step: 'promote', when: 'before' },
    { kind: 'single-user', step: 'setPassword', when: 'before' },
    { kind: 'single-user', step: 'setPassword', when: 'after' },
    { kind: 'alternating-users', step: 'prepareLogin', when: 'before' },
    { kind: 'alternating-users', step: 'promote', when: 'after' },
  ];
  const rotations = await Promise.all(
    places.map(async ({ kind, step, when }, index) => {
      const { secret, opens } = await subjectOf(kind, `down-${index}`);
      const point: Point = { secretId: bed.secrets.idOf(secret), step, when };
      await bed.pauses.stopAt(point);
      const { current } = await bed.secrets.labels(secret);
      const handle = await bed.start(secret);
      await bed.pauses.reached(point);
      return { secret, opens, point, handle, current };
    }),
  );

  await Promise.all([aws.refuse(), postgres.refuse()]);
  await Promise.all(rotations.map(({ point }) => bed.pauses.goOn(point)));
  await delay(30_000);
  for (const { handle } of rotations) expect((await handle.describe()).status.name).toBe('RUNNING');
  await Promise.all([aws.accept(), postgres.accept()]);

  for (const { secret, opens, handle, current } of rotations) {
    expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { previous: current } });
    const candidate = handle.firstExecutionRunId;
    expect(await bed.secrets.labels(secret)).toEqual({ current: candidate, previous: current });
    expect(await opens()).toBe(true);
  }
});

const LOAD_BALANCER = [
  'HTTP/1.1 503 Service Unavailable',
  'Content-Type: text/html',
  'Content-Length: 13',
  '',
  '<h1>503</h1>\n',
];

test.each([
  ['throttling (400)', awsErrorResponse('ThrottlingException', 'Rate exceeded')],
  ['throttling (429)', awsErrorResponse('TooManyRequestsException', 'Rate exceeded', 429)],
  ['an error of its own (500)', awsErrorResponse('InternalServiceError', 'An error occurred', 500)],
  ['a page of its load balancer (503)', LOAD_BALANCER.join('\r\n')],
])('a rotation succeeds after Secrets Manager answered with %s for a while', async (_answer, response) => {
  // The SDK makes three attempts: these are more than one call of each rotation can bridge.
  const answers = 4 * KINDS.length;
  const rotations = await Promise.all(
    KINDS.map(async (kind) => {
      const subject = await subjectOf(kind, `busy-${aws.hits}/${kind}`);
      const point: Point = {
        secretId: bed.secrets.idOf(subject.secret),
        step: LEAVES_MOST_AFTER[kind],
        when: 'before',
      };
      await bed.pauses.stopAt(point);
      const handle = await bed.start(subject.secret);
      await bed.pauses.reached(point);
      return { ...subject, point, handle };
    }),
  );
  const hitsBefore = aws.hits;
  aws.answerWith(() => true, response, answers);
  await Promise.all(rotations.map(({ point }) => bed.pauses.goOn(point)));

  for (const { handle, opens } of rotations) {
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await opens()).toBe(true);
  }
  expect(aws.hits - hitsBefore).toBe(answers);
});
