import { setTimeout as delay } from 'node:timers/promises';
import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { createKeySubjects, expectAsBefore, expectRotated } from './testbed/key-subjects';
import type { KeySubject, KeySubjectOptions, KeySubjects } from './testbed/key-subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let subjects: KeySubjects;
const proxies: FaultProxy[] = [];

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '2 minutes' });
  subjects = createKeySubjects(bed);
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(async () => {
  await Promise.all([subjects.stop(), ...proxies.map((proxy) => proxy.stop())]);
});

/** A service that knows no names of keys: a lost key is found by what was there before. */
const nameless: KeySubjectOptions['provider'] = ({ list, ...provider }) => ({
  ...provider,
  list: { ...list, label: undefined },
});
/** A service that is not told which creation is a repetition. */
const withoutIdempotencyKey: KeySubjectOptions['provider'] = (provider) => ({
  ...provider,
  idempotencyHeader: undefined,
});

const withoutBoth: KeySubjectOptions['provider'] = ({ list, ...provider }) => ({
  ...provider,
  idempotencyHeader: undefined,
  list: { ...list, label: undefined },
});

const SERVICES: [string, KeySubjectOptions][] = [
  ['honours-idempotency-keys', {}],
  ['ignores-idempotency-keys', { honoursIdempotencyKeys: false }],
  ['is-sent-no-idempotency-keys', { provider: withoutIdempotencyKey }],
  ['knows-no-names-of-keys', { provider: nameless }],
  ['knows-neither', { provider: withoutBoth }],
];

/** Each request of a rotation that a service of this kind gets, in order; must have been among those that were lost. */
const REQUESTS = [
  /^POST \/keys HTTP/,
  /^GET \/keys HTTP/,
  /^GET \/whoami HTTP/,
  /^POST \/keys\/\S+\/deactivate HTTP/,
  /^DELETE \/keys\/\S+ HTTP/,
];

/** Rotates again and again, each time with the answer to one request later lost, until there is no such request. */
async function loseEachAnswerInTurn(name: string, options: KeySubjectOptions): Promise<string[]> {
  let proxy: FaultProxy | undefined;
  const subject = await subjects.create(`lost/${name}`, {
    ...options,
    through: async (port) => {
      proxy = await startFaultProxy(port);
      proxies.push(proxy);
      return `http://127.0.0.1:${proxy.port}`;
    },
  });
  const lost: string[] = [];
  for (;;) {
    let left = lost.length;
    let request: string | undefined;
    proxy?.cutAfterAnswer((bytes) => {
      if (request !== undefined || left-- > 0) return false;
      request = bytes.toString('latin1').split('\r\n')[0] ?? '';
      return true;
    });
    const before = subject.service.keys()[0]?.id;
    const result: unknown = await bed.rotate(subject.secret).catch((error: Error) => error.cause ?? error);
    expect({ name, lost: request, result }).toMatchObject({ name, lost: request, result: { outcome: 'rotated' } });
    await expectRotated(bed, subject, result);
    expect(subject.service.keys()[0]?.id).not.toBe(before);
    if (request === undefined) return lost;
    lost.push(request);
  }
}

test('whichever answer of a service is lost, the rotation ends with exactly one new key', async () => {
  const all = await Promise.all(SERVICES.map(([name, options]) => loseEachAnswerInTurn(name, options)));
  for (const lost of all) {
    for (const wanted of REQUESTS) expect(lost).toContainEqual(expect.stringMatching(wanted));
  }
});

const GATEWAY = { status: 504, body: '<h1>504</h1>' };
const CHANGES = ['POST /keys', 'POST /keys/:id/deactivate', 'DELETE /keys/:id'];

const ODD: [string, (subject: KeySubject, route: string) => void][] = [
  ['comes too late', ({ service }, route) => service.slowAnswers(route, 3_000, 2)],
  ['is that of a gateway', ({ service }, route) => service.answerAfterEffectWith(route, GATEWAY, 3)],
  ['is one of its own errors', ({ service }, route) => service.answerAfterEffectWith(route, { status: 500 }, 2)],
];

test.each(ODD)('a change whose answer %s is made once, and is not made twice', async (what, arrange) => {
  const cases = CHANGES.flatMap((route) => [true, false].map((honours) => ({ route, honours })));
  await Promise.all(
    cases.map(async ({ route, honours }, index) => {
      const subject = await subjects.create(`odd/${what.replaceAll(' ', '-')}-${index}`, {
        honoursIdempotencyKeys: honours,
        provider: (described) => ({ ...described, requestTimeout: '1 second' }),
      });
      arrange(subject, route);
      await expectRotated(bed, subject, await bed.rotate(subject.secret));
    }),
  );
});

test('a rotation waits out 20 seconds without its service, wherever it stands, and finishes by itself', async () => {
  const steps = ['confirmCurrentKey', 'createKey', 'verifyKey', 'verifyInUse', 'deactivateKey', 'deleteKey'];
  const rotations = await Promise.all(
    steps.map(async (step) => {
      const subject = await subjects.create(`down/${step}`);
      const point = { secretId: subject.secretId, step, when: 'before' } as const;
      await bed.pauses.stopAt(point);
      const handle = await bed.start(subject.secret);
      await bed.pauses.reached(point);
      return { subject, point, handle };
    }),
  );
  for (const { subject } of rotations) subject.service.refuseConnections(true);
  await Promise.all(rotations.map(({ point }) => bed.pauses.goOn(point)));
  await delay(20_000);
  for (const { subject, handle } of rotations) {
    expect((await handle.describe()).status.name).toBe('RUNNING');
    subject.service.refuseConnections(false);
  }
  for (const { subject, handle } of rotations) await expectRotated(bed, subject, await handle.result());
});

test('a service that asks for a pause with Retry-After is left alone for that long', async () => {
  const cases = ['GET /whoami', 'POST /keys', 'POST /keys/:id/deactivate', 'DELETE /keys/:id'];
  await Promise.all(
    cases.map(async (route, index) => {
      const subject = await subjects.create(`throttled/${index}`);
      subject.service.answerWith(route, { status: 429, headers: { 'retry-after': '5' } }, 1);
      const asked: number[] = [];
      const watch = setInterval(() => {
        while (asked.length < subject.service.requests(route)) asked.push(Date.now());
      }, 20);
      try {
        await expectRotated(bed, subject, await bed.rotate(subject.secret));
      } finally {
        clearInterval(watch);
      }
      expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThan(4_900);
    }),
  );
});

test.each([
  ['POST /keys', 'createKey'],
  ['GET /keys', 'inspectKeys'],
])('a service that refuses the administrator at %s is named, and all is as before', async (route, where) => {
  const subject = await subjects.create(`refused/${where}`);
  subject.service.answerWith(route, { status: 403, body: `{"token": "${subject.service.adminToken}"}` }, 100);
  const failure = await failureOf(bed.rotate(subject.secret));
  expect(failure.message).toContain(subject.service.url);
  expect(failure).toMatchObject({
    type: where === 'createKey' ? 'RotationRolledBack' : 'RotationRefused',
    details: { cause: { type: 'PermissionDenied', message: expect.stringContaining(`${subject.secret}-admin`) } },
  });
  subject.service.endFaults();
  await expectAsBefore(bed, subject);
});
