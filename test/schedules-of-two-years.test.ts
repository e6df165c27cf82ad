import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { msNumberToTs, tsToMs } from '@temporalio/common/lib/time';
import { loadCatalog } from '../src/catalog';
import { inLanes } from '../src/rotation/in-lanes';
import { wantedSchedules } from '../src/client/schedules/wanted';
import type { WantedSchedule } from '../src/client/schedules/wanted';
import { clockOf, FROM, TO, whenClockShows } from './testbed/wall-clock';
import type { Local } from './testbed/wall-clock';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const DAYS = (TO - FROM) / DAY_MS;
/** The hour that changes is at 01:00 UTC, at 07:00 and 06:00 UTC, at half an hour only, and nowhere. */
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'];

let folder: string;
let connection: Connection;
let client: Client;
const mark = randomBytes(4).toString('hex');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-two-years-'));
  connection = await Connection.connect({ address: process.env['TEMPORAL_ADDRESS'] });
  client = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] });
});
afterAll(async () => {
  await connection.close();
  await rm(folder, { recursive: true });
});

/** The schedules of an environment, by their IDs without `keyturn/`. */
async function schedulesOf(environment: string, policy: string, secrets: Record<string, string> = {}) {
  const file = join(folder, `${randomBytes(4).toString('hex')}.yaml`);
  const lines = Object.entries(secrets).map(([name, secret]) => `${name}: {${secret}}`);
  await writeFile(file, `environments: { ${environment}: { ${policy} secrets: {${lines.join(', ')}} } }`);
  const wanted = wantedSchedules(await loadCatalog(file), 'nobody-polls-here');
  return new Map(wanted.map((schedule) => [schedule.scheduleId.replace('keyturn/', ''), schedule]));
}

/** All times of the two years at which Temporal itself says that it would start the schedule. */
async function timesOf({ spec, action, policies }: WantedSchedule): Promise<number[]> {
  const scheduleId = `two-years-${mark}-${randomBytes(4).toString('hex')}`;
  const schedule = await client.schedule.create({ scheduleId, spec, action, policies, state: { paused: true } });
  try {
    const { startTime } = await connection.workflowService.listScheduleMatchingTimes({
      namespace: process.env['TEMPORAL_NAMESPACE'] ?? 'default',
      scheduleId,
      // It leaves out its start.
      startTime: msNumberToTs(FROM - 1),
      endTime: msNumberToTs(TO - 1),
    });
    // As many as the server lists, which may be a part.
    expect(startTime.length).toBeLessThan(1_000);
    return startTime.map((time) => tsToMs(time));
  } finally {
    await schedule.delete();
  }
}

const iso = (times: number[]) => times.map((time) => new Date(time).toISOString());
const time = (hour: number, minute: number) => (local: Local) => local.hour === hour && local.minute === minute;

const APP = 'type: app-secret, maxAge: 3000 days';
const WITHOUT_JITTER = 'jitter: 0 s';

/** What the catalog says of when, and what the wall clock shows then; the number is of times in two years, where every zone has as many. */
const CALENDARS: [string, string, (local: Local) => boolean, number | undefined][] = [
  ['every-day', 'cron: "30 4 * * *"', time(4, 30), DAYS],
  ['in-the-hour-that-changes', 'cron: "30 2 * * *"', time(2, 30), undefined],
  [
    'every-leap-day',
    'calendar: {dayOfMonth: 29, month: february, hour: 4}',
    (l) => l.month === 2 && l.day === 29 && time(4, 0)(l),
    1,
  ],
  ['every-31st', 'cron: "0 4 31 * *"', (l) => l.day === 31 && time(4, 0)(l), 14],
  ['every-quarter', 'cron: "15 3 1 */3 *"', (l) => l.day === 1 && l.month % 3 === 1 && time(3, 15)(l), 8],
  ['every-month', 'calendar: {dayOfMonth: 15, hour: 12}', (l) => l.day === 15 && time(12, 0)(l), 24],
  ['on-working-days', 'cron: "45 21 * * MON-FRI"', (l) => !/^S/.test(l.weekday) && time(21, 45)(l), undefined],
  [
    'twice-a-week',
    'calendar: {dayOfWeek: [friday, monday], hour: [5, 14], minute: 30}',
    (l) => /^(Fri|Mon)$/.test(l.weekday) && [5, 14].includes(l.hour) && l.minute === 30,
    undefined,
  ],
];

const firstMonday = (local: Local) => local.weekday === 'Mon' && local.day <= 7 && time(2, 0)(local);

/** How often reviews are due, when by the wall clock, and how often in two years. */
const REVIEWS: [string, (local: Local) => boolean, number][] = [
  ['weekly', (l) => l.weekday === 'Mon' && time(2, 0)(l), 104],
  ['monthly', firstMonday, 24],
  ['quarterly', (l) => l.month % 3 === 1 && firstMonday(l), 8],
  ['yearly', (l) => l.month === 1 && firstMonday(l), 2],
];

describe.each(ZONES)('in 2027 and 2028, by the clock of %s,', (zone) => {
  let found: Map<string, WantedSchedule>;
  const scheduled = (id: string): WantedSchedule => {
    const schedule = found.get(id);
    if (!schedule) throw new Error(`there is no ${id}, only ${[...found.keys()].join(', ')}`);
    return schedule;
  };

  beforeAll(async () => {
    const secrets = CALENDARS.map(([name, written]) => [name, `${APP}, schedule: {${WITHOUT_JITTER}, ${written}}`]);
    const reviewed = REVIEWS.map(([interval]) => [interval, `${APP}, review: ${interval}`]);
    found = await schedulesOf(
      'dev',
      `review: off, schedules: {timeZone: ${zone}},`,
      Object.fromEntries([...secrets, ...reviewed]),
    );
  });

  test('the weekly run is every Monday at 02:00', async () => {
    const mondays = whenClockShows(zone, (local) => local.weekday === 'Mon' && time(2, 0)(local));
    expect(mondays.length).toBeGreaterThanOrEqual(104);
    expect(iso(await timesOf(scheduled('environment/dev')))).toEqual(iso(mondays));
  });

  test('ages are checked every day at 06:00, on leap day too', async () => {
    const days = whenClockShows(zone, time(6, 0));
    expect(days).toHaveLength(DAYS);
    expect(iso(await timesOf(scheduled('ages/dev')))).toEqual(iso(days));
  });

  test.each(REVIEWS)('a %s review is due on a Monday at 02:00', async (interval, shows, count) => {
    const mondays = whenClockShows(zone, shows);
    // East of Greenwich the first Monday of 2029 has begun before 2028 is over in UTC.
    expect([count, count + 1]).toContain(mondays.length);
    expect(iso(await timesOf(scheduled(`review/dev/${interval}`)))).toEqual(iso(mondays));
  });

  test.each(CALENDARS)(
    'a secret that is rotated %s (%s) is rotated then and at no other time',
    async (name, _, shows, count) => {
      const times = whenClockShows(zone, shows);
      if (count !== undefined) expect(times).toHaveLength(count);
      expect(times.length).toBeGreaterThan(0);
      expect(iso(await timesOf(scheduled(`rotation/dev/${name}`)))).toEqual(iso(times));
    },
  );
});

test('the clock of these tests leaves hours out, and shows others twice, on the days on which clocks change', () => {
  const missing = (zone: string) => DAYS - whenClockShows(zone, time(2, 30)).length;
  expect(Object.fromEntries(ZONES.map((zone) => [zone, missing(zone)]))).toEqual({
    UTC: 0,
    'Europe/Berlin': 2,
    'America/New_York': 2,
    // From 02:00 to 02:30: half past two is there.
    'Australia/Lord_Howe': 0,
    'Asia/Kathmandu': 0,
  });
  const twice = clockOf('Europe/Berlin').filter(({ local }) => local.month === 10 && time(2, 30)(local));
  expect(twice).toHaveLength(2 * 31 + 2);
});

/** A secret in an environment, and every how many days it is rotated. */
const INTERVALS: [string, string, string, string, number][] = [
  ['dev', '', 'app', 'type: app-secret', 60],
  ['dev', '', 'shop', 'type: database, strategy: single-user', 60],
  ['staging', '', 'app', 'type: app-secret', 90],
  ['staging', '', 'shop', 'type: database, strategy: single-user', 90],
  ['production', '', 'app', 'type: app-secret', 90],
  ['production', '', 'shop', 'type: database, strategy: single-user', 90],
  ['production', 'schedules: {timeZone: Europe/Berlin},', 'app', 'type: app-secret', 90],
  ['production', 'rotateEvery: 7 days,', 'app', 'type: app-secret', 7],
  ['production', '', 'app', 'type: app-secret, maxAge: 20 days', 20],
  ['production', '', 'app', 'type: app-secret, maxAge: 400 days, schedule: {every: 365 days}', 365],
];

test.each(INTERVALS)(
  'in two years secrets of %s {%s} %s {%s} are rotated every %d days, at 02:00 UTC and up to an hour later, never a day off',
  async (environment, policy, name, secret, days) => {
    const found = await schedulesOf(environment, policy, { [name]: secret });
    const schedule = found.get(`rotation/${environment}/${name}`);
    if (!schedule) throw new Error('there is no schedule');
    const times = await timesOf(schedule);
    const dayOf = (at: number) => Math.floor(at / DAY_MS);
    const [first = 0] = times;
    expect(dayOf(first) - dayOf(FROM)).toBeLessThan(days);
    expect(times.map(dayOf)).toEqual(
      Array.from({ length: Math.ceil((dayOf(TO) - dayOf(first)) / days) }, (_, n) => dayOf(first) + n * days),
    );
    for (const at of times) {
      const late = (at % DAY_MS) - 2 * HOUR_MS;
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(HOUR_MS);
    }
  },
);

test('in two years one secret starts somewhere else in the jitter each week, and never outside of it', async () => {
  const found = await schedulesOf('dev', '', { weekly: `${APP}, schedule: {cron: "0 4 * * MON", jitter: 2 h}` });
  const schedule = found.get('rotation/dev/weekly');
  if (!schedule) throw new Error('there is no schedule');
  const times = await timesOf(schedule);
  const mondays = whenClockShows('UTC', (local) => local.weekday === 'Mon' && time(4, 0)(local));
  const late = times.map((at, n) => (at - (mondays[n] ?? NaN)) / MINUTE_MS);
  expect(late).toHaveLength(104);
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...late)).toBeLessThan(120);
  // 26 on average in half an hour.
  for (const from of [0, 30, 60, 90]) {
    expect(late.filter((minutes) => minutes >= from && minutes < from + 30).length).toBeGreaterThan(8);
  }
});

test('a thousand secrets of one interval start no more than a few a day in a whole year, and none of them in one minute with many', async () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `app-${n}`);
  const found = await schedulesOf(
    'production',
    '',
    Object.fromEntries(names.map((name) => [name, 'type: app-secret'])),
  );
  const rotations = [...found.values()].filter(({ scheduleId }) => scheduleId.startsWith('keyturn/rotation/'));
  const starts: number[] = [];
  // A tenth of them, which says as much.
  await inLanes(
    rotations.filter((_, n) => n % 10 === 0),
    10,
    async (schedule) => {
      starts.push(...(await timesOf(schedule)).filter((at) => at < FROM + 365 * DAY_MS));
    },
  );
  // Each four times, or five where its first is in the first days of January.
  expect(starts.length).toBeGreaterThanOrEqual(400);
  expect(starts.length).toBeLessThanOrEqual(500);
  const most = (unitMs: number) => {
    const counts = new Map<number, number>();
    for (const at of starts) counts.set(Math.floor(at / unitMs), (counts.get(Math.floor(at / unitMs)) ?? 0) + 1);
    return Math.max(...counts.values());
  };
  // 1.1 a day on average.
  expect(most(DAY_MS)).toBeLessThan(8);
  expect(most(MINUTE_MS)).toBeLessThan(4);
});
