import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadCatalog } from '../src/catalog';
import { inLanes } from '../src/rotation/in-lanes';
import { environmentOf } from '../src/rotation/schedule-ids';
import type { WantedSchedule } from '../src/client/schedules/wanted';
import { wantedSchedules } from '../src/client/schedules/wanted';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let folder: string;
let connection: Connection;
let client: Client;
/** Ends the IDs of this file's schedules. */
const mark = randomBytes(4).toString('hex');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-schedules-'));
  connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] });
  client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] });
});
afterAll(async () => {
  await connection.close();
  await rm(folder, { recursive: true });
});

async function wantedBy(
  environment: string,
  policy: string,
  secrets: Record<string, string>,
): Promise<WantedSchedule[]> {
  const file = join(folder, 'keyturn.yaml');
  const lines = Object.entries(secrets).map(([name, secret]) => `${name}: {${secret}}`);
  await writeFile(file, `environments: { ${environment}: { ${policy} secrets: {${lines.join(', ')}} } }`);
  return wantedSchedules(await loadCatalog(file), 'nobody-polls-here');
}

async function reviewOf(environment: string, policy: string): Promise<WantedSchedule> {
  const found = (await wantedBy(environment, policy, {})).find(({ scheduleId }) => scheduleId.includes('/review/'));
  if (!found) throw new Error('there is no review');
  return found;
}

/** The next ten times at which Temporal itself says that it would start the schedule, from a day on. */
async function timesOf({ spec, action, policies }: WantedSchedule, from: string): Promise<Date[]> {
  const schedule = await client.schedule.create({
    scheduleId: `times-${mark}-${randomBytes(4).toString('hex')}`,
    spec: { ...spec, startAt: new Date(from) },
    action,
    policies,
    state: { paused: true },
  });
  try {
    const { info } = await schedule.describe();
    return info.nextActionTimes;
  } finally {
    await schedule.delete();
  }
}

const iso = (times: Date[]) => times.map((time) => time.toISOString().replace('.000Z', 'Z'));
const nth = (wanted: WantedSchedule[], index: number): WantedSchedule => {
  const schedule = wanted[index];
  if (!schedule) throw new Error(`there is no schedule ${index}`);
  return schedule;
};
const app = (schedule: string) => `type: app-secret, maxAge: 3000 days, schedule: {jitter: 0 s, ${schedule}}`;

describe("Temporal's own description says that", () => {
  test('the weekly run is on Mondays at 02:00 UTC', async () => {
    const [run] = await wantedBy('dev', '', {});
    if (!run) throw new Error('there is no weekly run');
    expect(run).toMatchObject({
      scheduleId: 'keyturn/environment/dev',
      action: { workflowType: 'rotateEnvironment', args: [{ environment: 'dev', due: true }] },
    });
    expect(iso(await timesOf(run, '2027-03-16T00:00:00Z'))).toEqual([
      '2027-03-22T02:00:00Z',
      '2027-03-29T02:00:00Z',
      '2027-04-05T02:00:00Z',
      '2027-04-12T02:00:00Z',
      '2027-04-19T02:00:00Z',
      '2027-04-26T02:00:00Z',
      '2027-05-03T02:00:00Z',
      '2027-05-10T02:00:00Z',
      '2027-05-17T02:00:00Z',
      '2027-05-24T02:00:00Z',
    ]);
  });

  test('the weekly run stays at 02:00 of its time zone when the clocks change', async () => {
    const [run] = await wantedBy('dev', 'schedules: {timeZone: Europe/Berlin},', {});
    if (!run) throw new Error('there is no weekly run');
    // Summer time begins on 28 March 2027 and ends on 31 October.
    expect(iso(await timesOf(run, '2027-03-16T00:00:00Z')).slice(0, 2)).toEqual([
      '2027-03-22T01:00:00Z',
      '2027-03-29T00:00:00Z',
    ]);
    expect(iso(await timesOf(run, '2027-10-19T00:00:00Z')).slice(0, 2)).toEqual([
      '2027-10-25T00:00:00Z',
      '2027-11-01T01:00:00Z',
    ]);
  });

  test('an hour that the change of clocks leaves out is left out, and one that it repeats runs once', async () => {
    const wanted = await wantedBy('dev', 'schedules: {timeZone: Europe/Berlin},', { x: app('cron: "30 2 * * *"') });
    expect(iso(await timesOf(nth(wanted, 1), '2027-03-27T00:00:00Z')).slice(0, 2)).toEqual([
      '2027-03-27T01:30:00Z',
      '2027-03-29T00:30:00Z',
    ]);
    const autumn = iso(await timesOf(nth(wanted, 1), '2027-10-30T00:00:00Z')).slice(0, 3);
    expect(autumn).toEqual(['2027-10-30T00:30:00Z', '2027-10-31T01:30:00Z', '2027-11-01T01:30:00Z']);
  });

  test('a leap day is one every four years', async () => {
    const wanted = await wantedBy('dev', '', { x: app('calendar: {dayOfMonth: 29, month: february, hour: 4}') });
    expect(iso(await timesOf(nth(wanted, 1), '2027-01-01T00:00:00Z')).slice(0, 3)).toEqual([
      '2028-02-29T04:00:00Z',
      '2032-02-29T04:00:00Z',
      '2036-02-29T04:00:00Z',
    ]);
  });

  test('ages are checked every day at 06:00 of the environment, or when the catalog says', async () => {
    const [, daily] = await wantedBy('dev', 'schedules: {timeZone: Europe/Berlin},', {});
    if (!daily) throw new Error('there is no age check');
    expect(daily).toMatchObject({
      scheduleId: 'keyturn/ages/dev',
      action: { workflowType: 'checkSecretAges', args: [{ environment: 'dev' }] },
    });
    expect(iso(await timesOf(daily, '2027-03-27T00:00:00Z')).slice(0, 3)).toEqual([
      '2027-03-27T05:00:00Z',
      '2027-03-28T04:00:00Z',
      '2027-03-29T04:00:00Z',
    ]);
    const [, other] = await wantedBy('dev', 'schedules: {ageCheck: {hour: 23, minute: 15}},', {});
    expect(other?.spec.calendars?.[0]).toMatchObject({ hour: [{ start: 23 }], minute: [{ start: 15 }] });
    expect(await wantedBy('dev', 'review: off, schedules: {ageCheck: never, weeklyRun: never},', {})).toEqual([]);
  });

  test('a year of reviews is on the first Monday of each quarter in dev and of each month elsewhere, at the hour of the weekly run', async () => {
    const quarterly = await reviewOf('dev', '');
    expect(quarterly).toMatchObject({
      scheduleId: 'keyturn/review/dev',
      action: { workflowType: 'reviewEnvironment', args: [{ environment: 'dev', covers: 'inherited' }] },
    });
    expect(iso(await timesOf(quarterly, '2027-01-01T00:00:00Z')).slice(0, 5)).toEqual([
      '2027-01-04T02:00:00Z',
      '2027-04-05T02:00:00Z',
      '2027-07-05T02:00:00Z',
      '2027-10-04T02:00:00Z',
      '2028-01-03T02:00:00Z',
    ]);
    for (const environment of ['staging', 'production', 'qa']) {
      const monthly = await reviewOf(environment, '');
      const times = [
        ...(await timesOf(monthly, '2027-01-01T00:00:00Z')),
        ...(await timesOf(monthly, '2027-10-05T00:00:00Z')),
      ].slice(0, 12);
      expect(iso(times)).toEqual(
        [
          '01-04',
          '02-01',
          '03-01',
          '04-05',
          '05-03',
          '06-07',
          '07-05',
          '08-02',
          '09-06',
          '10-04',
          '11-01',
          '12-06',
        ].map((day) => `2027-${day}T02:00:00Z`),
      );
    }
  });

  test('a review keeps to the clock of its time zone, and comes as often as the catalog says, or never', async () => {
    const monthly = await reviewOf(
      'production',
      'schedules: {timeZone: Europe/Berlin, weeklyRun: {dayOfWeek: sunday, hour: 4, minute: 30}},',
    );
    // Summer time begins on 28 March 2027 and ends on 31 October.
    expect(iso(await timesOf(monthly, '2027-03-01T00:00:00Z')).slice(0, 2)).toEqual([
      '2027-03-01T03:30:00Z',
      '2027-04-05T02:30:00Z',
    ]);
    expect(iso(await timesOf(monthly, '2027-10-02T00:00:00Z')).slice(0, 2)).toEqual([
      '2027-10-04T02:30:00Z',
      '2027-11-01T03:30:00Z',
    ]);
    const weekly = await reviewOf('dev', 'review: weekly, schedules: {weeklyRun: never},');
    expect(iso(await timesOf(weekly, '2028-02-22T00:00:00Z')).slice(0, 2)).toEqual([
      '2028-02-28T02:00:00Z',
      '2028-03-06T02:00:00Z',
    ]);
    const yearly = await reviewOf('dev', 'review: yearly,');
    expect(iso(await timesOf(yearly, '2027-01-05T00:00:00Z')).slice(0, 2)).toEqual([
      '2028-01-03T02:00:00Z',
      '2029-01-01T02:00:00Z',
    ]);
    expect((await wantedBy('dev', 'review: off,', {})).map(({ scheduleId }) => scheduleId)).toEqual([
      'keyturn/environment/dev',
      'keyturn/ages/dev',
    ]);
  });

  test('secrets with another interval than their environment have a review of their own', async () => {
    const secrets = {
      a: 'type: app-secret, review: weekly',
      b: 'type: app-secret, review: weekly, schedule: by-hand',
      c: 'type: app-secret, review: off',
      d: 'type: app-secret, review: monthly',
    };
    const ids = (await wantedBy('production', '', secrets)).map(({ scheduleId }) => scheduleId);
    expect(ids.filter((id) => id.startsWith('keyturn/review/'))).toEqual([
      'keyturn/review/production',
      'keyturn/review/production/weekly',
    ]);
    expect(ids.map(environmentOf)).toEqual(ids.map(() => 'production'));
    const own = (await wantedBy('production', 'review: off,', secrets)).slice(-2).map(({ scheduleId }) => scheduleId);
    expect(own).toEqual(['keyturn/review/production/weekly', 'keyturn/review/production/monthly']);
  });

  test('the 31st is left out of months that have none', async () => {
    const wanted = await wantedBy('dev', '', { x: app('cron: "0 4 31 * *"') });
    expect(iso(await timesOf(nth(wanted, 1), '2027-01-01T00:00:00Z')).slice(0, 4)).toEqual([
      '2027-01-31T04:00:00Z',
      '2027-03-31T04:00:00Z',
      '2027-05-31T04:00:00Z',
      '2027-07-31T04:00:00Z',
    ]);
  });

  test.each([
    ['dev', 60],
    ['staging', 90],
    ['production', 90],
  ])('secrets of %s are rotated every %d days, at the hour of the weekly run', async (environment, days) => {
    const secrets = { app: 'type: app-secret', db: 'type: database, strategy: single-user' };
    const wanted = await wantedBy(environment, 'schedules: {jitter: 0 s, weeklyRun: {hour: 3, minute: 30}},', secrets);
    expect(wanted.map(({ scheduleId }) => scheduleId)).toEqual([
      `keyturn/environment/${environment}`,
      `keyturn/rotation/${environment}/app`,
      `keyturn/rotation/${environment}/db`,
      `keyturn/ages/${environment}`,
      `keyturn/review/${environment}`,
    ]);
    for (const schedule of wanted.slice(1, 3)) {
      const times = await timesOf(schedule, '2027-01-01T00:00:00Z');
      expect(times).toHaveLength(10);
      expect(iso(times).every((time) => time.endsWith('T03:30:00Z'))).toBe(true);
      times.slice(1).forEach((time, n) => expect(time.getTime() - (times[n]?.getTime() ?? 0)).toBe(days * DAY_MS));
    }
  });
});

describe('a thousand secrets', () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `app/secret-${n}`);

  test('of one interval are spread over its days, the same ones each time', async () => {
    const secrets = Object.fromEntries(names.map((name) => [name, 'type: app-secret']));
    const [, ...wanted] = await wantedBy('production', 'review: off, schedules: {ageCheck: never},', secrets);
    const offsets = wanted.map(({ spec }) => Number(spec.intervals?.[0]?.offset));
    const perDay = new Map<number, number>();
    for (const offset of offsets)
      perDay.set(Math.floor(offset / DAY_MS), (perDay.get(Math.floor(offset / DAY_MS)) ?? 0) + 1);
    expect(perDay.size).toBeGreaterThan(85);
    // 11 a day on average.
    expect(Math.max(...perDay.values())).toBeLessThan(30);
    const [, ...again] = await wantedBy('production', 'review: off, schedules: {ageCheck: never},', secrets);
    expect(again.map(({ spec }) => Number(spec.intervals?.[0]?.offset))).toEqual(offsets);
  });

  test('of one minute of the calendar start spread over the jitter', async () => {
    const [, ...wanted] = await wantedBy(
      'production',
      'review: off, schedules: {ageCheck: never},',
      Object.fromEntries(names.map((name) => [name, 'type: app-secret, schedule: {cron: "0 2 * * 1"}'])),
    );
    const first: (Date | undefined)[] = [];
    await inLanes(wanted, 20, async ({ spec, action, policies }, n) => {
      const schedule = await client.schedule.create({
        scheduleId: `jitter-${mark}-${n}`,
        spec: { ...spec, startAt: new Date('2027-03-21T00:00:00Z') },
        action,
        policies,
        state: { paused: true },
      });
      first[n] = (await schedule.describe()).info.nextActionTimes[0];
      await schedule.delete();
    });
    const minutes = first.map((time) => ((time?.getTime() ?? 0) - Date.parse('2027-03-22T02:00:00Z')) / MINUTE_MS);
    expect(Math.min(...minutes)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...minutes)).toBeLessThan(60);
    for (let minute = 0; minute < 60; minute += 10) {
      // 167 on average in ten minutes.
      const within = minutes.filter((late) => late >= minute && late < minute + 10).length;
      expect(within).toBeGreaterThan(100);
      expect(within).toBeLessThan(240);
    }
  }, 240_000);
});
