import type { RotationInput } from '../src/rotation/types';
import { accepted, createApiKey, keyDocument } from './testbed/api-keys';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';
import type { Point } from './testbed/pauses';
import { createSubject } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let dependent: TestDependent;
/** An account that has other keys too. */
let shared: FakeKeyService;
beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '20 seconds' });
  dependent = await startDependent('the orders service', '1 second');
  shared = await startFakeKeyService({ maxKeys: 100 });
  bed.alsoSecret(() => shared.everyValue());
  await bed.startWorker();
});
afterEach(() => dependent.answer(200));
afterAll(async () => {
  await dependent.stop();
  await bed.close().finally(() => shared.stop());
});

/** Its old key is to be revoked as soon as nobody has used it for a second. */
const keyOf = (secret: string, declaration: Record<string, unknown> = {}) =>
  createSubject(bed, 'api-key', secret, {
    quietPeriod: '1 second',
    dependents: [dependent.declaration],
    ...declaration,
  });

const currentKey = async (secret: string) => (await keyDocument(bed, secret))?.key ?? '';

/** Starts a rotation that stands still before a step. */
async function startUntil({ secret }: Subject, step: string) {
  const point: Point = { secretId: bed.secrets.idOf(secret), step, when: 'before' };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

/** A client that uses the key that is AWSCURRENT now, again and again, until stopped. */
async function keepUsing({ secret, service }: Subject) {
  const key = await currentKey(secret);
  const seen = { accepted: 0, refused: 0 };
  let stopped = false;
  const uses = (async () => {
    while (!stopped) {
      seen[service && (await accepted(service, key)) ? 'accepted' : 'refused'] += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  uses.catch(() => undefined);
  return {
    async stop() {
      stopped = true;
      await uses;
      return seen;
    },
  };
}

test.each<[string, Partial<RotationInput>]>([
  ['a rotation', {}],
  ['an emergency', { emergency: true }],
])(
  'in %s, a dependent that is not healthy with the new key keeps the old one from being revoked',
  async (what, input) => {
    const subject = await keyOf(what.replace(/^an? /, 'unhealthy-in-'));
    const before = await subject.situation();
    dependent.answer(async () =>
      (await bed.secrets.labels(subject.secret)).current === before.labels.current ? 200 : 503,
    );
    const client = await keepUsing(subject);
    expect(await failureOf(bed.rotate(subject.secret, input))).toMatchObject({
      type: 'RotationRolledBack',
      details: { cause: { type: 'DependentUnhealthy' } },
    });
    expect(await client.stop()).toEqual({ accepted: expect.any(Number) as number, refused: 0 });
    expect(await subject.situation()).toEqual(before);
  },
);

test.each(['verifyKey', 'verifyInUse', 'verifyBeforeRetiring'])(
  'a new key that somebody revokes before %s costs the old one nothing',
  async (step) => {
    const subject = await keyOf(`revoked/${step.toLowerCase()}`);
    const before = await subject.situation();
    const { handle, goOn } = await startUntil(subject, step);
    const { service } = subject;
    const made = service?.keys().find(({ id }) => id !== before.keys[0]?.id);
    service?.remove(made?.id ?? '');
    await goOn();
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RotationRolledBack',
      details: { step, cause: { type: 'CandidateRefused' } },
    });
    expect(await subject.situation()).toEqual(before);
  },
);

test('when the old key is revoked, the new one is in use, is accepted and has been seen by the dependents', async () => {
  const subject = await keyOf('proved');
  const asked = dependent.asked;
  const { current: versionId } = await bed.secrets.labels(subject.secret);
  const { handle, goOn } = await startUntil(subject, 'deactivateKey');
  expect(await subject.opens(versionId)).toBe(true);
  expect((await bed.secrets.labels(subject.secret)).current).toBe(handle.firstExecutionRunId);
  expect(await subject.opens()).toBe(true);
  expect(dependent.asked).toBe(asked + 2);

  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { previous: versionId } });
  expect(await subject.opens()).toBe(true);
  expect(await subject.opens(versionId)).toBe(false);
});

test.each([
  ['verifyInUse', 'RotationRolledBack'],
  ['verifyBeforeRetiring', 'RotationRolledBack'],
  ['deactivateKey', 'RetirementIncomplete'],
  ['deleteKey', 'RetirementIncomplete'],
])('an old key that somebody made AWSCURRENT again before %s is not deleted: %s', async (step, failure) => {
  const subject = await keyOf(`put-back/${step.toLowerCase()}`);
  const { current } = await bed.secrets.labels(subject.secret);
  const old = subject.service?.keys()[0]?.id;
  const { handle, goOn } = await startUntil(subject, step);
  await bed.secrets.makeCurrent(subject.secret, current);
  await goOn();
  expect(await failureOf(handle.result())).toMatchObject({ type: failure });
  expect((await bed.secrets.labels(subject.secret)).current).toBe(current);
  expect(subject.service?.keys().map(({ id }) => id)).toContain(old);
  if (step !== 'deleteKey') expect(await subject.opens()).toBe(true);
});

test('an old key that is in use is not revoked before it has been quiet, and never when the catalog says to fail', async () => {
  const subject = await keyOf('in-use', { gracePeriod: '1 second', maxGracePeriod: '4 seconds', onStillUsed: 'fail' });
  const before = await subject.situation();
  const client = await keepUsing(subject);
  expect(await failureOf(bed.rotate(subject.secret))).toMatchObject({
    type: 'RotationRolledBack',
    details: { step: 'waitForQuiet', cause: { type: 'KeyStillUsed' } },
  });
  expect(await client.stop()).toEqual({ accepted: expect.any(Number) as number, refused: 0 });
  expect(await subject.situation()).toEqual(before);
});

describe('in an account with other keys', () => {
  const ids = () => shared.keys().map(({ id }) => id);
  const others: string[] = [];
  beforeAll(() => {
    others.push(
      shared.issue('much older than the rest').id,
      shared.issue('made by hand').id,
      shared.issue(`keyturn/${bed.secrets.idOf('another')}/its-rotation`).id,
      shared.issue(`keyturn/${bed.secrets.idOf('rotated')}/an-earlier-rotation`).id,
    );
  });

  test('a rotation revokes the key that was in AWSCURRENT and no other, the oldest and unused ones neither', async () => {
    const { id: old } = await createApiKey(bed, shared, 'rotated', { gracePeriod: '1 second' });
    await bed.rotate('rotated');
    expect(ids()).toEqual([...others, (await keyDocument(bed, 'rotated'))?.keyId]);
    expect(ids()).not.toContain(old);
    shared.remove(ids().at(-1) ?? '');
  });

  test('a rotation that is undone, and one after a terminated one, delete only the key that was made for them', async () => {
    const { id: old } = await createApiKey(bed, shared, 'undone', {
      gracePeriod: '1 second',
      dependents: [dependent.declaration],
    });
    const { current } = await bed.secrets.labels('undone');
    dependent.answer(async () => ((await bed.secrets.labels('undone')).current === current ? 200 : 503));
    await failureOf(bed.rotate('undone'));
    expect(ids()).toEqual([...others, old]);
    dependent.answer(200);

    const point: Point = { secretId: bed.secrets.idOf('undone'), step: 'createKey', when: 'after' };
    await bed.pauses.stopAt(point);
    const handle = await bed.start('undone');
    await bed.pauses.reached(point);
    await handle.terminate();
    await bed.pauses.goOn(point);
    expect(ids()).toHaveLength(others.length + 2);
    // Of somebody else, and made while the terminated rotation ran.
    others.push(shared.issue('made meanwhile').id);
    await bed.rotate('undone');
    const { keyId } = (await keyDocument(bed, 'undone')) ?? {};
    expect(ids().sort()).toEqual([...others, keyId].sort());
  });
});
