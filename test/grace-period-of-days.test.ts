import { timeSkippingUnavailable } from './lab/time-skipping';
import type { WorkerProcess } from './lab/worker-process';
import { startEnforcingAws } from './testbed/enforcing-aws';
import type { EnforcingAws } from './testbed/enforcing-aws';
import { createSubject } from './testbed/subjects';
import type { Subject } from './testbed/subjects';
import { createAccessKeySecret } from './testbed/time-skipping-access-keys';
import type { AccessKeySecret } from './testbed/time-skipping-access-keys';
import { DAY_MS, sevenDaysOf } from './testbed/time-skipping-grace';
import type { SevenDays } from './testbed/time-skipping-grace';
import { openTimeSkippingTestbed } from './testbed/time-skipping-testbed';
import type { TimeSkippingTestbed } from './testbed/time-skipping-testbed';
import { auditOf, statusOf } from './testbed/watching';

const unavailable = process.env['CI'] === 'true' ? undefined : timeSkippingUnavailable();
const describeWithTime = unavailable ? describe.skip : describe;
const why = unavailable ? ` [skipped: ${unavailable.message}]` : '';

/** Just before and just after something that is due on a day, in days: 3 minutes. */
const A_MOMENT = 0.002;

let bed: TimeSkippingTestbed;
let worker: WorkerProcess;

/** Kills the worker, lets two days more than the grace period pass, and starts another. */
async function missTheEnd(grace: SevenDays, wakesOnDay: number): Promise<void> {
  await worker.kill();
  await bed.skipWithoutWorkerTo(grace.time(9), grace.time(wakesOnDay));
  worker = await bed.startWorker();
}

/** How often the last rotation of a secret did something, by the audit log, and how that ended. */
async function doneTo(secret: string, what: string, { handle }: SevenDays): Promise<string[]> {
  const { runId } = (await handle.describe()) as { runId: string };
  const records = await auditOf(bed.secrets.idOf(secret));
  return records
    .filter((record) => record.what === what && record.workflow?.runId === runId)
    .map(({ outcome }) => outcome);
}

describeWithTime(`the grace period of two database logins${why}`, () => {
  beforeAll(async () => {
    bed = await openTimeSkippingTestbed();
    worker = await bed.startWorker();
  });
  afterAll(() => bed.close());

  interface Logins extends SevenDays {
    subject: Subject;
    before: Awaited<ReturnType<Subject['situation']>>;
    opensOld(): Promise<boolean>;
    opensNew(): Promise<boolean>;
  }

  async function sevenDays(secret: string): Promise<Logins> {
    const subject = await createSubject(bed, 'alternating-users', secret, { gracePeriod: '7 days' });
    // Twice, so that both logins are as Keyturn leaves them.
    for (let turn = 0; turn < 2; turn += 1) await bed.rotate(secret, { gracePeriod: '0 s' });
    const before = await subject.situation();
    const handle = await bed.start(secret);
    const grace = await sevenDaysOf(bed, handle);
    const { versions } = await statusOf(handle);
    const opens = (versionId = '') => bed.databases.opens(secret, { versionId });
    return {
      ...grace,
      subject,
      before,
      opensOld: () => opens(versions.current),
      opensNew: () => opens(versions.candidate),
    };
  }

  test('lets both work for 7 days, which take a moment here', async () => {
    const grace = await sevenDays('database/seven');
    const began = performance.now();
    await grace.untilDay(7 - A_MOMENT);
    expect(await statusOf(grace.handle)).toMatchObject({ phase: 'grace-period', graceEndsAt: grace.iso(7) });
    expect([await grace.opensOld(), await grace.opensNew()]).toEqual([true, true]);
    await grace.untilDay(7 + A_MOMENT);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(await grace.daysOfGrace()).toBeCloseTo(7, 2);
    expect([await grace.opensOld(), await grace.opensNew()]).toEqual([false, true]);
  });

  test('ends 2 days later when it is extended by 2 days on day 3', async () => {
    const grace = await sevenDays('database/extended');
    await grace.untilDay(3);
    expect(await grace.update('extendGracePeriod', { by: '2 days' })).toMatchObject({ graceEndsAt: grace.iso(9) });
    await grace.untilDay(9 - A_MOMENT);
    expect(await statusOf(grace.handle)).toMatchObject({ phase: 'grace-period', graceEndsAt: grace.iso(9) });
    expect(await grace.opensOld()).toBe(true);
    await grace.untilDay(9 + A_MOMENT);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(9, 2);
    expect(await grace.opensOld()).toBe(false);
  });

  test('ends at once when it is ended on day 2', async () => {
    const grace = await sevenDays('database/ended');
    await grace.untilDay(2);
    await grace.update('endGracePeriod', { reason: 'all have it' });
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(2, 2);
    expect([await grace.opensOld(), await grace.opensNew()]).toEqual([false, true]);
  });

  test('leaves everything as it was when the rotation is aborted on day 5', async () => {
    const grace = await sevenDays('database/aborted');
    await grace.untilDay(5);
    await grace.update('abort', { reason: 'wrong secret' });
    expect(await grace.handle.result()).toMatchObject({ outcome: 'aborted', reason: 'wrong secret' });
    expect(await grace.subject.situation()).toEqual(grace.before);
    expect(await grace.opensOld()).toBe(true);
  });

  test('hears signals too, each on its day', async () => {
    const grace = await sevenDays('database/signals');
    await grace.untilDay(1);
    await grace.handle.signal('extendGracePeriod', { until: grace.iso(10) });
    await grace.untilDay(9);
    expect(await statusOf(grace.handle)).toMatchObject({ phase: 'grace-period', graceEndsAt: grace.iso(10) });
    await grace.handle.signal('endGracePeriod');
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(9, 2);
  });

  test('is over at once, and the old login locked exactly once, when the worker was killed in it and is back days after its end', async () => {
    const grace = await sevenDays('database/away');
    await missTheEnd(grace, 7);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(9, 2);
    expect([await grace.opensOld(), await grace.opensNew()]).toEqual([false, true]);
    expect(await doneTo('database/away', 'lockLogin', grace)).toEqual(['started', 'succeeded']);
  });
});

describeWithTime(`the grace period of two access keys${why}`, () => {
  let aws: EnforcingAws;
  beforeAll(async () => {
    aws = await startEnforcingAws();
    bed = await openTimeSkippingTestbed(aws.settings);
    worker = await bed.startWorker();
  });
  afterAll(async () => {
    await bed.close();
    await aws.stop();
  });

  interface Keys extends SevenDays, AccessKeySecret {
    fresh: Awaited<ReturnType<AccessKeySecret['offered']>>;
    /** Whether the old key and the new one are let in. */
    accepted(): Promise<boolean[]>;
    share(): Promise<number>;
  }

  const PHASE_IN = [
    { after: '1 day', percent: 10 },
    { after: '3 days', percent: 50 },
    { after: '6 days', percent: 100 },
  ];

  async function sevenDays(secret: string, declaration: Record<string, unknown> = {}): Promise<Keys> {
    const keys = await createAccessKeySecret(bed, aws, secret, declaration);
    const grace = await sevenDaysOf(bed, await bed.start(secret));
    const fresh = await keys.offered();
    return {
      ...keys,
      ...grace,
      fresh,
      accepted: () => Promise.all([keys.old, fresh].map((key) => aws.accepts(key))),
      share: async () => (await keys.offered()).phaseInPercent,
    };
  }

  const notifications = async (secret: string, grace: SevenDays) =>
    (await doneTo(secret, 'notify', grace)).filter((outcome) => outcome === 'succeeded').length;

  test('lets both work for 7 days, in which the new one gets the share of use that the catalog says', async () => {
    const grace = await sevenDays('iam/seven', { phaseIn: PHASE_IN });
    expect(grace.fresh).toMatchObject({ graceEndsAt: grace.iso(7), phaseInPercent: 0 });
    const shares: [number, number][] = [];
    for (const day of [1, 3, 6]) {
      await grace.untilDay(day - A_MOMENT);
      const before = await grace.share();
      await grace.untilDay(day + A_MOMENT);
      shares.push([before, await grace.share()]);
      expect(await grace.accepted()).toEqual([true, true]);
    }
    expect(shares).toEqual([
      [0, 10],
      [10, 50],
      [50, 100],
    ]);
    await grace.untilDay(7 + A_MOMENT);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(7, 2);
    expect(await grace.accepted()).toEqual([false, true]);
    expect(await grace.current()).toMatchObject({ accessKeyId: grace.fresh.accessKeyId, bucket: 'exports' });
    await expect(grace.offered()).rejects.toThrow();
  });

  test('reminds people a day and an hour before its end', async () => {
    const grace = await sevenDays('iam/reminded');
    const told: number[] = [];
    for (const day of [6 - A_MOMENT, 6 + A_MOMENT, 7 - 1 / 24 - A_MOMENT, 7 - 1 / 24 + A_MOMENT]) {
      await grace.untilDay(day);
      told.push(await notifications('iam/reminded', grace));
    }
    expect(told).toEqual([0, 1, 1, 2]);
    await grace.untilDay(7 + A_MOMENT);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await notifications('iam/reminded', grace)).toBe(2);
  });

  test('ends 2 days later when it is extended by 2 days on day 3, and says so where applications read it', async () => {
    const grace = await sevenDays('iam/extended');
    await grace.untilDay(3);
    expect(await grace.update('extendGracePeriod', { by: '2 days' })).toMatchObject({ graceEndsAt: grace.iso(9) });
    await grace.untilDay(9 - A_MOMENT);
    expect(await grace.offered()).toMatchObject({ accessKeyId: grace.fresh.accessKeyId, graceEndsAt: grace.iso(9) });
    expect(await grace.accepted()).toEqual([true, true]);
    await grace.untilDay(9 + A_MOMENT);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(9, 2);
    expect(await grace.accepted()).toEqual([false, true]);
  });

  test('ends at once when it is ended on day 2', async () => {
    const grace = await sevenDays('iam/ended');
    await grace.untilDay(2);
    await grace.update('endGracePeriod');
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(2, 2);
    expect(await aws.keysOf(grace.userName)).toEqual([grace.fresh.accessKeyId]);
  });

  test('leaves only the old key when the rotation is aborted on day 5', async () => {
    const grace = await sevenDays('iam/aborted');
    await grace.untilDay(5);
    await grace.update('abort', { reason: 'not yet' });
    expect(await grace.handle.result()).toMatchObject({ outcome: 'aborted', reason: 'not yet' });
    expect(await grace.accepted()).toEqual([true, false]);
    expect(await aws.keysOf(grace.userName)).toEqual([grace.old.accessKeyId]);
    expect(await grace.current()).toMatchObject(grace.old);
    await expect(grace.offered()).rejects.toThrow();
  });

  test('keeps to the share that an operator sets on day 2, whatever the catalog says of day 3', async () => {
    const grace = await sevenDays('iam/share', { phaseIn: PHASE_IN });
    await grace.untilDay(2);
    expect(await grace.update('setPhaseIn', { percent: 30 })).toMatchObject({ phaseInPercent: 30 });
    await grace.untilDay(2 + A_MOMENT);
    expect(await grace.share()).toBe(30);
    await grace.untilDay(6.5);
    expect(await grace.share()).toBe(30);
    await grace.update('endGracePeriod');
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
  });

  test('is prolonged as long as the old key was used within the quiet period', async () => {
    // Keys are used by the machine's clock, which the server's is ahead of by now.
    const ahead = Math.ceil(((await bed.now()) - Date.now()) / DAY_MS);
    const quietPeriod = `${ahead + 10} days`;
    const grace = await sevenDays('iam/used', { quietPeriod, maxGracePeriod: '300 days' });
    await grace.accepted();
    await grace.untilDay(9);
    expect(await statusOf(grace.handle)).toMatchObject({ phase: 'grace-period', step: 'waitForQuiet' });
    expect(await grace.accepted()).toEqual([true, true]);
    expect(await notifications('iam/used', grace)).toBe(3);
    await grace.untilDay(12);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await aws.keysOf(grace.userName)).toEqual([grace.fresh.accessKeyId]);
  });

  test('is over at once, with one new key and the old one deleted exactly once, when the worker was killed in it and is back days after its end', async () => {
    const grace = await sevenDays('iam/away');
    // The first reminder is due on day 6.
    await missTheEnd(grace, 6);
    expect(await grace.handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await grace.daysOfGrace()).toBeCloseTo(9, 2);
    expect(await aws.keysOf(grace.userName)).toEqual([grace.fresh.accessKeyId]);
    for (const what of ['createKey', 'deactivateKey', 'deleteKey'])
      expect(await doneTo('iam/away', what, grace)).toEqual(['started', 'succeeded']);
  });
});
