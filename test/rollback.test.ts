import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { createSubject, DRAWN_KINDS, KINDS } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { auditOf, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let dependent: TestDependent;
beforeAll(async () => {
  bed = await openTestbed();
  dependent = await startDependent('shop', '1 second');
  await bed.startWorker();
});
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

const back = (secret: string, input = {}) => bed.rotate(secret, input, 'rollbackSecret');
const startBack = (secret: string, input = {}) => bed.start(secret, input, 'rollbackSecret');

async function rotated(kind: Kind, secret: string, declaration = {}): Promise<Subject> {
  const subject = await createSubject(bed, kind, secret, { dependents: [dependent.declaration], ...declaration });
  await bed.rotate(secret);
  return subject;
}

describe.each(DRAWN_KINDS)('going back after a rotation of type %s', (kind) => {
  test('makes AWSPREVIOUS current again, in Secrets Manager and in the target, and sees the dependents healthy', async () => {
    const { secret, opens } = await rotated(kind, `back/${kind}`);
    const before = await bed.secrets.labels(secret);
    const old = await bed.secrets.value(secret, 'AWSPREVIOUS');
    const asked = dependent.asked;
    const result = await back(secret, { reason: 'the shop cannot log in', requestedBy: 'anna' });
    expect(result).toMatchObject({
      outcome: 'rotated',
      reason: 'the shop cannot log in',
      requestedBy: 'anna',
      versions: { current: before.previous, previous: before.current },
    });
    expect(result.steps).toContainEqual({
      name: 'createCandidate',
      summary: `stage the version labelled AWSPREVIOUS of ${bed.secrets.idOf(secret)} as the candidate`,
    });
    expect(await bed.secrets.labels(secret)).toEqual({ current: before.previous, previous: before.current });
    expect(await bed.secrets.value(secret)).toBe(old);
    expect(dependent.asked).toBe(asked + 1);
    expect(await opens()).toBe(true);
  });

  test('can itself be gone back on, and draws nothing new', async () => {
    const { secret, opens } = await rotated(kind, `there-and-back/${kind}`);
    const before = await bed.secrets.labels(secret);
    const versions = await bed.secrets.versionIds(secret);
    await back(secret);
    await back(secret);
    expect(await bed.secrets.labels(secret)).toEqual(before);
    expect((await bed.secrets.versionIds(secret)).sort()).toEqual(versions.sort());
    expect(await opens()).toBe(true);
  });

  test('that fails is undone: the newer version stays current and opens its target', async () => {
    const subject = await rotated(kind, `failing-back/${kind}`);
    // Both ways once, so that what is set back is what Keyturn itself has set.
    await back(subject.secret);
    await back(subject.secret);
    const before = await subject.situation();
    const point = { secretId: bed.secrets.idOf(subject.secret), step: 'deliver', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await startBack(subject.secret);
    await bed.pauses.reached(point);
    dependent.answer(500);
    await bed.pauses.goOn(point);
    await inPhase(handle, 'rolling-back');
    dependent.answer(200);
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RotationRolledBack',
      details: { step: 'deliver' },
    });
    expect(await subject.situation()).toEqual(before);
    expect(await subject.opens()).toBe(true);
  });

  test('that is aborted is undone too', async () => {
    const subject = await rotated(kind, `aborted-back/${kind}`);
    await back(subject.secret);
    await back(subject.secret);
    const before = await subject.situation();
    const point = { secretId: bed.secrets.idOf(subject.secret), step: 'deliver', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await startBack(subject.secret);
    await bed.pauses.reached(point);
    await handle.signal('abort', { reason: 'wrong secret' });
    await bed.pauses.goOn(point);
    expect(await handle.result()).toMatchObject({ outcome: 'aborted', reason: 'wrong secret' });
    expect(await subject.situation()).toEqual(before);
    expect(await subject.opens()).toBe(true);
  });

  test('as a dry run says what would be done and touches nothing', async () => {
    const subject = await rotated(kind, `dry-back/${kind}`);
    const before = await subject.situation();
    const rehearsed = await back(subject.secret, { dryRun: true });
    expect(rehearsed).toMatchObject({ outcome: 'dry-run', versions: { current: before.labels.current } });
    expect(await subject.situation()).toEqual(before);
    const done = await back(subject.secret);
    expect(rehearsed.steps).toEqual(done.steps);
  });
});

test('going back to a single-user password ends the newer one, and says so in the audit log', async () => {
  const { secret } = await rotated('single-user', 'audited');
  const newer = (await bed.secrets.labels(secret)).current ?? '';
  await back(secret, { requestedBy: 'anna' });
  expect(await bed.databases.opens(secret, { versionId: newer })).toBe(false);
  const records = (await auditOf(bed.secrets.idOf(secret))).filter(
    ({ workflow }) => workflow?.type === 'rollbackSecret',
  );
  expect(records.filter(({ who }) => who !== 'anna')).toEqual([]);
  expect(records.map(({ what, outcome }) => `${what} ${outcome}`)).toContain('setPassword succeeded');
});

test('going back to a login that was locked at the end of its grace period unlocks it, and locks the newer one', async () => {
  const { secret, logins } = await rotated('alternating-users', 'locked', { gracePeriod: '1 second' });
  expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
  expect(await back(secret)).toMatchObject({ outcome: 'rotated' });
  expect(JSON.parse(await bed.secrets.value(secret))).toMatchObject({ username: logins[0] });
  expect(await bed.databases.opens(secret)).toBe(true);
  expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
});

test('going back to an API key that could not be deleted activates it again, and leaves the newer one', async () => {
  const subject = await createSubject(bed, 'api-key', 'api-key/kept', { dependents: [dependent.declaration] });
  const { secret, service } = subject;
  const before = await bed.secrets.labels(secret);
  service?.answerWith('DELETE /keys/:id', { status: 403 }, 1_000);
  expect(await failureOf(bed.rotate(secret))).toMatchObject({
    type: 'RetirementIncomplete',
    details: { step: 'deleteKey' },
  });
  service?.endFaults();
  const { current: newer } = await bed.secrets.labels(secret);
  expect(await subject.opens(before.current)).toBe(false);
  expect(await back(secret)).toMatchObject({
    outcome: 'rotated',
    versions: { current: before.current, previous: newer },
  });
  expect(await bed.secrets.labels(secret)).toEqual({ current: before.current, previous: newer });
  expect(await subject.opens()).toBe(true);
  expect(await subject.opens(newer)).toBe(true);
});

describe('going back is refused', () => {
  const refusal = async (secret: string) => failureOf((await startBack(secret)).result());

  test.each(KINDS)('for a secret of type %s without AWSPREVIOUS', async (kind) => {
    const subject = await createSubject(bed, kind, `never-rotated/${kind}`);
    const before = await subject.situation();
    const id = bed.secrets.idOf(subject.secret);
    expect(await refusal(subject.secret)).toEqual({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: ${id} has no AWSPREVIOUS version to go back to.`,
      details: { step: 'inspectSecret', cause: { type: 'NothingToRollBackTo', message: expect.any(String) } },
    });
    expect(await subject.situation()).toEqual(before);
  });

  test('for an API key whose predecessor is revoked, as after every rotation', async () => {
    const subject = await rotated('api-key', 'api-key/revoked');
    const before = await subject.situation();
    const id = bed.secrets.idOf(subject.secret);
    expect(await refusal(subject.secret)).toMatchObject({
      type: 'RotationRefused',
      message: expect.stringContaining(
        `of the version labelled AWSPREVIOUS of ${id} is revoked; there is nothing to go back to.`,
      ) as string,
      details: { step: 'reviveKey', cause: { type: 'NothingToRollBackTo' } },
    });
    expect(await subject.situation()).toEqual(before);
  });

  test('for a secret that does not exist', async () => {
    await bed.declare({ 'never-created': { type: 'app-secret' } });
    const id = bed.secrets.idOf('never-created');
    expect(await refusal('never-created')).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: ${id} does not exist in Secrets Manager; store a credential there that works.`,
    });
  });

  test('for a secret whose last rotation was terminated and left a candidate', async () => {
    const subject = await rotated('single-user', 'stale');
    await bed.secrets.putPending(subject.secret, await bed.secrets.value(subject.secret));
    const before = await subject.situation();
    const id = bed.secrets.idOf(subject.secret);
    expect(await refusal(subject.secret)).toMatchObject({
      type: 'RotationRefused',
      message: `${id} was not rotated, and nothing was changed: a rotation of ${id} was terminated and has left a candidate; keyturn rotate ${id} cleans up, and can be rolled back afterwards.`,
    });
    expect(await subject.situation()).toEqual(before);
  });

  test('while a rotation of the secret runs, which goes on', async () => {
    const subject = await createSubject(bed, 'app-secret', 'running');
    const point = { secretId: bed.secrets.idOf(subject.secret), step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(subject.secret);
    await bed.pauses.reached(point);
    await expect(startBack(subject.secret)).rejects.toMatchObject({ name: 'WorkflowExecutionAlreadyStartedError' });
    await bed.pauses.goOn(point);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await statusOf(handle)).toMatchObject({ outcome: 'rotated' });
  });
});
