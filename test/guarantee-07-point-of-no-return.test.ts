import type { WorkflowHandle } from '@temporalio/client';
import { escapeIdentifier } from 'pg';
import type { RequestAccepted, RotationInput, RotationResult, RotationStatus } from '../src/rotation/types';
import { keyDocument } from './testbed/api-keys';
import { createSubject, inputReaching, irrevocableSteps, KINDS } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { arrived, auditOf, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '30 seconds' });
  await bed.startWorker();
});
afterAll(() => bed.close());

const GRACE = { gracePeriod: '1 hour' };

async function standingAt(subject: Subject, step: string, input: Partial<RotationInput>) {
  const point = { secretId: bed.secrets.idOf(subject.secret), step, when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(subject.secret, input);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

describe('past the point of no return', () => {
  interface Scenario {
    kind: Kind;
    step: string;
  }
  const scenarios = KINDS.flatMap((kind) => irrevocableSteps(kind).map((step): Scenario => ({ kind, step })));

  interface Refused {
    before: RotationStatus;
    update: unknown;
    after: RotationStatus;
    result: RotationResult;
    subject: Subject;
  }
  const ended = new Map<Scenario, Promise<Refused>>();

  beforeAll(() => {
    for (const scenario of scenarios) {
      const end = askToAbort(scenario);
      end.catch(() => undefined);
      ended.set(scenario, end);
    }
  });

  async function askToAbort({ kind, step }: Scenario): Promise<Refused> {
    const subject = await createSubject(bed, kind, `past/${kind}/${step}`, GRACE);
    const { handle, goOn } = await standingAt(subject, step, inputReaching(kind, step));
    // What only looks holds the workflow's task at first, and with it the answer to queries.
    const before = step.startsWith('prove') ? undefined : await statusOf(handle);
    await handle.signal('abort', { reason: 'too late', requestedBy: 'anna' });
    await handle.cancel();
    const update = handle
      .executeUpdate('abort', { args: [{ reason: 'too late again' }] })
      .catch((error) => error.cause);
    await arrived(handle, 'signal');
    await arrived(handle, 'cancel');
    const refusal = (await update) as unknown;
    await goOn();
    const result = (await handle.result()) as RotationResult;
    const after = await statusOf(handle);
    return { before: before ?? after, update: refusal, after, result, subject };
  }

  test.each(scenarios)(
    'an abort of a rotation of type $kind at $step is refused with the reason, and the rotation goes on to its end',
    async (scenario) => {
      const { before, update, after, result, subject } = await (ended.get(scenario) as Promise<Refused>);
      const id = bed.secrets.idOf(subject.secret);
      const why = `the rotation of ${id} is past its point of no return (${scenario.step}): it only goes forward. To go back afterwards, where that is possible: keyturn rollback ${id}`;
      expect(before.pastPointOfNoReturn).toBe(true);
      expect(update).toMatchObject({ type: 'PastPointOfNoReturn', message: why });
      expect(after.requests).toEqual([
        expect.objectContaining({ request: 'abort', reason: 'too late', requestedBy: 'anna', refused: why }),
      ]);
      expect(result).toMatchObject({ outcome: 'rotated' });
      expect(after).toMatchObject({ phase: 'finished', outcome: 'rotated' });
      expect(await subject.opens()).toBe(true);
      expect(await subject.opens(result.versions.previous)).toBe(false);
      const records = (await auditOf(id)).filter(({ what }) => what === 'abort');
      expect(records).toEqual([expect.objectContaining({ who: 'anna', reason: 'too late', outcome: 'refused' })]);
    },
  );

  test('which is the very end of a recipe that retires nothing, an abort is refused while the outcome is recorded', async () => {
    const subject = await createSubject(bed, 'app-secret', 'past/the-end');
    const { handle, goOn } = await standingAt(subject, 'recordOutcome', {});
    const update = handle.executeUpdate('abort', { args: [{}] });
    await expect(update).rejects.toMatchObject({
      cause: {
        type: 'PastPointOfNoReturn',
        message: `the rotation of ${bed.secrets.idOf(subject.secret)} is over; its outcome is being recorded`,
      },
    });
    await goOn();
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  });

  test('what cannot be retired is named as left to do by hand, and the new version stays in use', async () => {
    const subject = await createSubject(bed, 'alternating-users', 'past/failing', {
      ...GRACE,
      stepTimeout: '2 seconds',
    });
    const id = bed.secrets.idOf(subject.secret);
    const admin = `${subject.logins[0]}_admin`;
    const { handle, goOn } = await standingAt(subject, 'lockOldLogin', { gracePeriod: '1 s' });
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(admin)} NOLOGIN`);
    await goOn();
    const why = `the administrator in ${id}-admin (login "${admin}" on ${bed.databases.host}:${bed.databases.port}) may not log in. Correct that secret first.`;
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RetirementIncomplete',
      message: `${id} was rotated and the new version is in use, but the old one could not be retired. Left to do by hand: lock the old login (${why}); prove that the old credential is refused (${why})`,
      details: {
        step: 'lockOldLogin',
        leftToDo: [{ step: 'lockOldLogin' }, { step: 'proveOldPasswordRefused' }],
      },
    });
    expect(await statusOf(handle)).toMatchObject({ outcome: 'retirement-incomplete' });
    expect((await bed.secrets.labels(subject.secret)).current).toBe(handle.firstExecutionRunId);
    expect(await subject.opens()).toBe(true);
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(admin)} LOGIN`);
    expect(await bed.rotate(subject.secret, { gracePeriod: '1 s' })).toMatchObject({ outcome: 'rotated' });
  });

  test('a key that cannot be revoked is named as left to do by hand, and the next rotation revokes it once nobody uses it', async () => {
    const subject = await createSubject(bed, 'api-key', 'past/unrevoked', { ...GRACE, stepTimeout: '2 seconds' });
    const id = bed.secrets.idOf(subject.secret);
    const old = (await keyDocument(bed, subject.secret))?.keyId ?? '';
    const { handle, goOn } = await standingAt(subject, 'deactivateKey', { gracePeriod: '1 s' });
    subject.service?.answerWith('POST /keys/:id/deactivate', { status: 403 }, 1_000);
    await goOn();
    const todo = `deactivate the old key ${old} at the provider`;
    expect(await failureOf(handle.result())).toMatchObject({
      type: 'RetirementIncomplete',
      message: expect.stringContaining(
        `${id} was rotated and the new version is in use, but the old one could not be retired. Left to do by hand: ${todo} (`,
      ) as string,
      details: {
        step: 'deactivateKey',
        leftToDo: [
          { step: 'deactivateKey', todo, cause: { type: 'PermissionDenied' } },
          { step: 'deleteKey' },
          { step: 'proveOldKeyRefused' },
          { step: 'removeSecondary' },
        ],
      },
    });
    expect((await bed.secrets.labels(subject.secret)).current).toBe(handle.firstExecutionRunId);
    expect(await subject.opens()).toBe(true);
    subject.service?.endFaults();

    subject.service?.setLastUsed(old, new Date());
    expect(await failureOf(bed.rotate(subject.secret, { gracePeriod: '1 s' }))).toMatchObject({
      type: 'RotationRefused',
      details: { step: 'settleLeftovers', cause: { type: 'KeyStillUsed' } },
    });
    expect((await subject.situation()).keys).toHaveLength(2);
    subject.service?.setLastUsed(old, new Date(Date.now() - 60_000));
    expect(await bed.rotate(subject.secret, { gracePeriod: '1 s' })).toMatchObject({ outcome: 'rotated' });
    const { keys, secondary } = await subject.situation();
    expect(keys).toEqual([expect.objectContaining({ accepted: true })]);
    expect(secondary).toBeUndefined();
  });
});

describe('the end of a grace period', () => {
  let subject: Subject;
  let handle: WorkflowHandle;

  async function inGrace(name: string): Promise<void> {
    subject = await createSubject(bed, 'alternating-users', name, GRACE);
    handle = await bed.start(subject.secret);
    await inPhase(handle, 'grace-period');
  }
  const endsAt = async () => (await statusOf(handle)).graceEndsAt ?? '';
  const extend = (request: object) =>
    handle.executeUpdate<RequestAccepted, [object]>('extendGracePeriod', { args: [request] });
  const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

  test('is moved by a duration or to a time, by update and by signal, as often as one likes', async () => {
    await inGrace('extended');
    const first = await endsAt();
    const answer = await extend({ by: '2 hours', requestedBy: 'anna', reason: 'release day' });
    const second = new Date(Date.parse(first) + 2 * 3_600_000).toISOString();
    expect(answer).toEqual({ accepted: 'the grace period is longer now', graceEndsAt: second });
    expect(await endsAt()).toBe(second);

    const third = inHours(30);
    expect(await extend({ until: third })).toMatchObject({ graceEndsAt: third });
    await handle.signal('extendGracePeriod', { by: '1 day' });
    const fourth = new Date(Date.parse(third) + 86_400_000).toISOString();
    expect(await endsAt()).toBe(fourth);
    const offset = '2026-01-01T00:00:00+02:00';
    await expect(extend({ until: offset })).rejects.toMatchObject({
      cause: { message: expect.stringContaining(fourth) },
    });

    const { requests, phase } = await statusOf(handle);
    expect(phase).toBe('grace-period');
    expect(
      requests.map(({ request, requestedBy, reason, refused }) => ({ request, requestedBy, reason, refused })),
    ).toEqual([
      { request: 'extendGracePeriod', requestedBy: 'anna', reason: 'release day', refused: undefined },
      { request: 'extendGracePeriod' },
      { request: 'extendGracePeriod' },
    ]);
    await handle.executeUpdate('endGracePeriod', { args: [{ requestedBy: 'ben', reason: 'all moved' }] });
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.databases.opens(subject.secret, 'AWSPREVIOUS')).toBe(false);
    const acts = (await auditOf(bed.secrets.idOf(subject.secret))).filter(({ what }) => /GracePeriod$/.test(what));
    expect(acts.map(({ what, who, outcome }) => [what, who, outcome]).sort()).toEqual([
      ['endGracePeriod', 'ben', 'accepted'],
      ['extendGracePeriod', 'anna', 'accepted'],
      ['extendGracePeriod', 'unknown', 'accepted'],
      ['extendGracePeriod', 'unknown', 'accepted'],
    ]);
  });

  test('does not come at the old deadline once it was extended', async () => {
    subject = await createSubject(bed, 'alternating-users', 'deadline', GRACE);
    handle = await bed.start(subject.secret, { gracePeriod: '2 s' });
    const { graceEndsAt = '' } = await inPhase(handle, 'grace-period');
    await extend({ by: '3 s' });
    await new Promise((resolve) => setTimeout(resolve, Date.parse(graceEndsAt) + 1_000 - Date.now()));
    expect((await statusOf(handle)).phase).toBe('grace-period');
    expect(await bed.databases.opens(subject.secret, 'AWSPREVIOUS')).toBe(true);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(graceEndsAt) + 3_000);
  });

  describe('is left as it is by', () => {
    beforeAll(() => inGrace('garbage'));
    afterAll(async () => {
      await handle.signal('endGracePeriod');
      await handle.result();
    });

    const longer = `say either by (a duration such as '3 days') or until (an ISO time)`;
    const tooLong = ({ graceEndsLatest }: RotationStatus) =>
      `it can last until ${graceEndsLatest} at most, which is 29 d 23 h longer`;
    const notATime = 'is not a time with its offset, such as 2030-01-31T08:00:00Z';
    test.each<[string, unknown, string | ((status: RotationStatus) => string)]>([
      ['nothing at all', undefined, longer],
      ['null', null, longer],
      ['a number', 3, longer],
      ['an empty object', {}, longer],
      ['both a duration and a time', { by: '1 day', until: '2030-01-31T08:00:00Z' }, longer],
      ['a duration that is none', { by: 'soon' }, "'soon' is not a duration"],
      ['an empty duration', { by: '' }, "'' is not a duration"],
      ['a negative duration', { by: '-3 days' }, "'-3 days' is not a duration"],
      ['a duration of zero', { by: '0 days' }, 'that would not be longer'],
      ['a duration in months', { by: '1 month' }, "'1 month' is not a duration"],
      ['more than 30 days', { by: '31 days' }, tooLong],
      ['more than the calendar has', { by: '14800000 weeks' }, "'14800000 weeks' is not a duration"],
      ['a time that is none', { until: 'tomorrow' }, `'tomorrow' ${notATime}`],
      ['an empty time', { until: '' }, `'' ${notATime}`],
      ['a time without its offset', { until: '2030-01-31T08:00:00' }, `'2030-01-31T08:00:00' ${notATime}`],
      ['a day without a time', { until: '2030-01-31' }, `'2030-01-31' ${notATime}`],
      ['a day that does not exist', { until: '2030-02-31T25:00:00Z' }, `'2030-02-31T25:00:00Z' ${notATime}`],
      ['a time that has passed', { until: '2020-01-01T00:00:00Z' }, 'that would not be longer'],
      ['a time before the end in force', { until: inHours(0.5) }, 'that would not be longer'],
      ['a time in two months', { until: inHours(24 * 60) }, tooLong],
    ])('%s', async (_name, request, why) => {
      const before = await statusOf(handle);
      const message = `${typeof why === 'string' ? why : why(before)}; the grace period ends at ${before.graceEndsAt} as before`;
      await expect(extend(request as object)).rejects.toMatchObject({ cause: { type: 'BadRequest', message } });
      await handle.signal('extendGracePeriod', request);
      const after = await statusOf(handle);
      expect(after).toMatchObject({ phase: 'grace-period', graceEndsAt: before.graceEndsAt });
      expect(after.requests.slice(before.requests.length)).toEqual([
        expect.objectContaining({ request: 'extendGracePeriod', refused: message }),
      ]);
    });

    test.each<[string, unknown, string]>([
      ['a duration that is a number', { by: 3 }, 'by'],
      ['a time that is a number', { until: 1_893_456_000 }, 'until'],
      ['a huge text', { by: '1 day', reason: 'x'.repeat(50_000) }, 'reason'],
    ])('%s', async (_name, request, field) => {
      const before = await statusOf(handle);
      const message = `the field ${field} is not a text of at most 1000 characters`;
      await expect(extend(request as object)).rejects.toMatchObject({ cause: { type: 'BadRequest', message } });
      await handle.signal('extendGracePeriod', request);
      const after = await statusOf(handle);
      expect(after).toMatchObject({ phase: 'grace-period', graceEndsAt: before.graceEndsAt });
      expect(after.requests.at(-1)).toMatchObject({ refused: message });
    });
  });

  test.each(['extendGracePeriod', 'endGracePeriod'] as const)(
    'cannot be changed by %s before it has begun or after it is over',
    async (request) => {
      subject = await createSubject(bed, 'alternating-users', `outside/${request}`, GRACE);
      const id = bed.secrets.idOf(subject.secret);
      const ask = () => handle.executeUpdate(request, { args: [{ by: '1 day' }] });
      const early = await standingAt(subject, 'promote', { gracePeriod: '1 s' });
      handle = early.handle;
      const tooEarly = `the rotation of ${id} is not in its grace period (it is rotating, at promote)`;
      await expect(ask()).rejects.toMatchObject({ cause: { type: 'NotInGracePeriod', message: tooEarly } });
      await handle.signal(request, { by: '1 day' });
      const late = { secretId: id, step: 'lockOldLogin', when: 'before' } as const;
      await bed.pauses.stopAt(late);
      await early.goOn();
      await bed.pauses.reached(late);
      const { graceEndsAt } = await statusOf(handle);
      const tooLate = `the grace period of ${id} ended at ${graceEndsAt}, and the rotation is past its point of no return (it is retiring, at lockOldLogin)`;
      await expect(ask()).rejects.toMatchObject({ cause: { type: 'PastPointOfNoReturn', message: tooLate } });
      await bed.pauses.goOn(late);
      expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
      expect((await statusOf(handle)).requests).toEqual([expect.objectContaining({ request, refused: tooEarly })]);
    },
  );
});
