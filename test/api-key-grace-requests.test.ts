import type { WorkflowHandle } from '@temporalio/client';
import type { RotationStatus } from '../src/rotation/types';
import { createKeySubjects, expectRotated } from './testbed/key-subjects';
import type { KeySubject, KeySubjects } from './testbed/key-subjects';
import { keyDocument } from './testbed/api-keys';
import type { Point } from './testbed/pauses';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let subjects: KeySubjects;

beforeAll(async () => {
  bed = await openTestbed();
  subjects = createKeySubjects(bed);
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(() => subjects.stop());

const HOUR_MS = 3_600_000;
const update = (handle: WorkflowHandle, name: string, request: unknown = {}) =>
  handle.executeUpdate<{ accepted: string }, [unknown]>(name, { args: [request] });

/** What a request could have changed. */
async function changeable(handle: WorkflowHandle, subject: KeySubject) {
  const { requests: _requests, earlierRequests: _earlier, ...status } = await statusOf(handle);
  return {
    status,
    keys: subject.service.keys().map(({ id, active }) => ({ id, active })),
    secondary: await keyDocument(bed, subject.secondary),
    versions: await bed.secrets.versionIds(subject.secondary).catch(() => []),
  };
}

/** Sends a request as an update and as a signal; each is refused with its reason, and nothing is as it was not before. */
async function expectRefused(
  handle: WorkflowHandle,
  subject: KeySubject,
  [name, request, type, why]: readonly [string, unknown, string, string],
): Promise<void> {
  const before = await changeable(handle, subject);
  await expect(update(handle, name, request)).rejects.toMatchObject({
    cause: { type, message: expect.stringContaining(why) as string },
  });
  const signalled = async () => {
    const { requests, earlierRequests = 0 } = await statusOf(handle);
    return { count: requests.length + earlierRequests, last: requests.at(-1) };
  };
  const { count } = await signalled();
  await handle.signal(name, request);
  await until('the signal is noted', async () => (await signalled()).count > count);
  expect((await signalled()).last).toMatchObject({
    request: name,
    refused: expect.stringContaining(why) as string,
  });
  expect(await changeable(handle, subject)).toEqual(before);
}

describe('in a grace period of an hour that may last two', () => {
  let subject: KeySubject;
  let handle: WorkflowHandle;
  let end: number;
  const iso = (time: number) => new Date(time).toISOString();

  beforeAll(async () => {
    subject = await subjects.create('hour', {
      declaration: { gracePeriod: '1 hour', maxGracePeriod: '2 hours' },
    });
    handle = await bed.start(subject.secret);
    end = Date.parse((await inPhase(handle, 'grace-period')).graceEndsAt ?? '');
  });

  const bad = 'BadRequest';
  const asBefore = 'as before';
  test.each([
    ['extendGracePeriod', {}, bad, 'say either by'],
    ['extendGracePeriod', undefined, bad, 'say either by'],
    ['extendGracePeriod', 'an hour', bad, 'say either by'],
    ['extendGracePeriod', ['1 hour'], bad, 'say either by'],
    ['extendGracePeriod', { by: 'garbage' }, bad, `'garbage' is not a duration; the grace period ends at`],
    ['extendGracePeriod', { by: '' }, bad, 'is not a duration'],
    ['extendGracePeriod', { by: '1 month' }, bad, 'is not a duration'],
    ['extendGracePeriod', { by: '-1 hour' }, bad, `'-1 hour' is not a duration`],
    ['extendGracePeriod', { by: '0 hours' }, bad, 'that would not be longer'],
    ['extendGracePeriod', { by: '61 minutes' }, bad, 'it can last until'],
    ['extendGracePeriod', { by: '400 days' }, bad, 'it can last until'],
    ['extendGracePeriod', { by: '99999999999 weeks' }, bad, asBefore],
    ['extendGracePeriod', { by: 3 }, bad, 'the field by is not a text'],
    ['extendGracePeriod', { by: 'x'.repeat(1_001) }, bad, 'the field by is not a text'],
    ['extendGracePeriod', { until: 'tomorrow' }, bad, 'is not a time with its offset'],
    ['extendGracePeriod', { until: '2030-13-45T99:00:00Z' }, bad, 'is not a time with its offset'],
    ['extendGracePeriod', { until: '2099-01-01T00:00:00' }, bad, 'is not a time with its offset'],
    ['extendGracePeriod', { until: '2099-01-01T00:00:00Z' }, bad, 'it can last until'],
    ['extendGracePeriod', { until: '2001-01-01T00:00:00Z' }, bad, 'that would not be longer'],
    ['extendGracePeriod', { by: '1 minute', until: '2099-01-01T00:00:00Z' }, bad, 'say either by'],
    ['extendGracePeriod', { by: '1 minute', requestId: 7 }, bad, 'the field requestId is not a text'],
    ['setPhaseIn', {}, bad, 'percent is not a whole number from 0 to 100'],
    ['setPhaseIn', undefined, bad, 'percent is not a whole number from 0 to 100'],
    ['setPhaseIn', { percent: 101 }, bad, 'stays 0 %'],
    ['setPhaseIn', { percent: -1 }, bad, 'stays 0 %'],
    ['setPhaseIn', { percent: 1.5 }, bad, 'stays 0 %'],
    ['setPhaseIn', { percent: '50' }, bad, 'stays 0 %'],
    ['setPhaseIn', { percent: null }, bad, 'stays 0 %'],
    ['setPhaseIn', { percent: [50] }, bad, 'stays 0 %'],
    ['endGracePeriod', { reason: 5 }, bad, 'the field reason is not a text'],
    ['abort', { requestedBy: {} }, bad, 'the field requestedBy is not a text'],
  ] as const)('%s %j is refused, and the state is unchanged', async (...request) => {
    await expectRefused(handle, subject, request);
  });

  test('the same extension sent twice counts once: by its request ID, by signal and update, or by its time', async () => {
    const extension = { by: '10 minutes', requestId: 'only once' };
    await handle.signal('extendGracePeriod', extension);
    await handle.signal('extendGracePeriod', extension);
    const answer = await update(handle, 'extendGracePeriod', extension);
    expect(answer).toEqual({
      accepted: expect.stringContaining('already') as string,
      graceEndsAt: iso(end + HOUR_MS / 6),
    });
    const time = { until: iso(end + HOUR_MS / 3) };
    expect(await update(handle, 'extendGracePeriod', time)).toMatchObject({
      accepted: 'the grace period is longer now',
      graceEndsAt: time.until,
    });
    expect(await update(handle, 'extendGracePeriod', time)).toMatchObject({
      accepted: expect.stringContaining('already') as string,
      graceEndsAt: time.until,
    });
    expect((await statusOf(handle)).graceEndsAt).toBe(time.until);
  });

  test('a share of use that it has already is accepted, and not written again', async () => {
    await update(handle, 'setPhaseIn', { percent: 50 });
    await until('it is written', async () => (await keyDocument(bed, subject.secondary))?.phaseInPercent === 50);
    const before = await changeable(handle, subject);
    expect(await update(handle, 'setPhaseIn', { percent: 50 })).toMatchObject({
      accepted: expect.stringContaining('already') as string,
      phaseInPercent: 50,
    });
    expect(await changeable(handle, subject)).toEqual(before);
  });

  test('it is extended to its maximum and no further, and ended by the operator', async () => {
    const { graceEndsLatest = '' } = await statusOf(handle);
    expect(Date.parse(graceEndsLatest) - end).toBe(HOUR_MS);
    await update(handle, 'extendGracePeriod', { until: graceEndsLatest });
    await expectRefused(handle, subject, ['extendGracePeriod', { by: '1 ms' }, bad, 'which is its end already']);
    await update(handle, 'endGracePeriod');
    await expectRotated(bed, subject, await handle.result());
  });
});

const REQUESTS = [
  ['extendGracePeriod', { by: '1 hour' }],
  ['endGracePeriod', {}],
  ['setPhaseIn', { percent: 50 }],
] as const;

describe.each([
  ['before its grace period', 'createKey', 'before', 'NotInGracePeriod', 'is not in its grace period'],
  ['after its grace period', 'promote', 'before', 'NotInGracePeriod', 'ended at'],
  ['past the point of no return', 'deactivateKey', 'before', 'PastPointOfNoReturn', 'past its point of no return'],
  ['past the point of no return', 'deleteKey', 'after', 'PastPointOfNoReturn', 'past its point of no return'],
] as const)('a rotation %s, at %s', (_where, step, when, type, why) => {
  test('refuses what is for the grace period, with its reason and the state unchanged', async () => {
    const subject = await subjects.create(`at-${step}-${when}`);
    const point: Point = { secretId: subject.secretId, step, when };
    await bed.pauses.stopAt(point);
    const handle = await bed.start(subject.secret);
    await bed.pauses.reached(point);
    for (const [name, request] of REQUESTS) await expectRefused(handle, subject, [name, request, type, why]);
    const past = type === 'PastPointOfNoReturn';
    if (past) await expectRefused(handle, subject, ['abort', {}, type, 'it only goes forward']);
    await bed.pauses.goOn(point);
    await expectRotated(bed, subject, await handle.result());
    expect((await statusOf(handle)) satisfies RotationStatus).toMatchObject({ outcome: 'rotated' });
    await expect(update(handle, 'abort')).rejects.toThrow();
  });
});
