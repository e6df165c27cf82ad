import type { WorkflowHandle } from '@temporalio/client';
import { escapeIdentifier } from 'pg';
import type { RequestAccepted, RotationInput, RotationStatus } from '../src/rotation/types';
import { createSubject, inputReaching, RECIPES } from './testbed/subjects';
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
  const KIND = 'alternating-users';
  const first = RECIPES[KIND].findIndex(({ pointOfNoReturn }) => pointOfNoReturn);
  const scenarios: Scenario[] = RECIPES[KIND].slice(first).map(({ name }) => ({ kind: KIND, step: name }));

  interface Refused {
    before: RotationStatus;
    update: unknown;
    after: RotationStatus;
    result: unknown;
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
    const subject = await createSubject(bed, kind, `past/${step}`, GRACE);
    const { handle, goOn } = await standingAt(subject, step, inputReaching(kind, step));
    const before = step === 'proveOldPasswordRefused' ? undefined : await statusOf(handle);
    await handle.signal('abort', { reason: 'too late', requestedBy: 'anna' });
    await handle.cancel();
    const update = handle
      .executeUpdate('abort', { args: [{ reason: 'too late again' }] })
      .catch((error) => error.cause);
    await arrived(handle, 'signal');
    await arrived(handle, 'cancel');
    const refusal = (await update) as unknown;
    await goOn();
    const result = (await handle.result()) as unknown;
    const after = await statusOf(handle);
    return { before: before ?? after, update: refusal, after, result, subject };
  }

  test.each(scenarios)(
    'an abort at $step is refused with the reason, and the rotation goes on to its end',
    async (scenario) => {
      const { before, update, after, result, subject } = await (ended.get(scenario) as Promise<Refused>);
      const id = bed.secrets.idOf(subject.secret);
      const why = `the rotation of ${id} is past its point of no return (${scenario.step}): the new version is in use, and it only goes forward. To go back afterwards: keyturn rollback ${id}`;
      expect(before.pastPointOfNoReturn).toBe(true);
      expect(update).toMatchObject({ type: 'PastPointOfNoReturn', message: why });
      expect(after.requests).toEqual([
        expect.objectContaining({ request: 'abort', reason: 'too late', requestedBy: 'anna', refused: why }),
      ]);
      expect(result).toMatchObject({ outcome: 'rotated' });
      expect(after).toMatchObject({ phase: 'finished', outcome: 'rotated' });
      expect(await subject.opens()).toBe(true);
      expect(await bed.databases.opens(subject.secret, 'AWSPREVIOUS')).toBe(false);
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
    const notATime = 'is not a time with its offset, such as 2030-01-31T08:00:00Z';
    test.each<[string, unknown, string]>([
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
      ['more than 30 days', { by: '31 days' }, 'that is more than 30 days ahead'],
      ['more than the calendar has', { by: '14800000 weeks' }, "'14800000 weeks' is not a duration"],
      ['a time that is none', { until: 'tomorrow' }, `'tomorrow' ${notATime}`],
      ['an empty time', { until: '' }, `'' ${notATime}`],
      ['a time without its offset', { until: '2030-01-31T08:00:00' }, `'2030-01-31T08:00:00' ${notATime}`],
      ['a day without a time', { until: '2030-01-31' }, `'2030-01-31' ${notATime}`],
      ['a day that does not exist', { until: '2030-02-31T25:00:00Z' }, `'2030-02-31T25:00:00Z' ${notATime}`],
      ['a time that has passed', { until: '2020-01-01T00:00:00Z' }, 'that would not be longer'],
      ['a time before the end in force', { until: inHours(0.5) }, 'that would not be longer'],
      ['a time in two months', { until: inHours(24 * 60) }, 'that is more than 30 days ahead'],
    ])('%s', async (_name, request, why) => {
      const before = await statusOf(handle);
      const message = `${why}; the grace period ends at ${before.graceEndsAt} as before`;
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
      const refusal = (phase: string, step: string) => ({
        cause: {
          type: 'NotInGracePeriod',
          message: `the rotation of ${id} is not in its grace period (it is ${phase}, at ${step})`,
        },
      });
      const early = await standingAt(subject, 'promote', { gracePeriod: '1 s' });
      handle = early.handle;
      await expect(ask()).rejects.toMatchObject(refusal('rotating', 'promote'));
      await handle.signal(request, { by: '1 day' });
      const late = { secretId: id, step: 'lockOldLogin', when: 'before' } as const;
      await bed.pauses.stopAt(late);
      await early.goOn();
      await bed.pauses.reached(late);
      await expect(ask()).rejects.toMatchObject(refusal('retiring', 'lockOldLogin'));
      await bed.pauses.goOn(late);
      expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
      expect((await statusOf(handle)).requests).toEqual([
        expect.objectContaining({ request, refused: refusal('rotating', 'promote').cause.message }),
      ]);
    },
  );
});
