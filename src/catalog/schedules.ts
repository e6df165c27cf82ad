import { shortestGapMs, type Calendar } from './calendar';
import type { EnvironmentData, SecretData } from './schema';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const JITTER_MS = HOUR_MS;
const CATCH_UP_WINDOW_MS = DAY_MS;
const TIME_ZONE = 'UTC';

const WEEKLY_RUN: Calendar = {
  minutes: [0],
  hours: [2],
  daysOfMonth: Array.from({ length: 31 }, (_, index) => index + 1),
  months: Array.from({ length: 12 }, (_, index) => index + 1),
  daysOfWeek: [1],
};

const AGE_CHECK: Calendar = { ...WEEKLY_RUN, hours: [6], daysOfWeek: [0, 1, 2, 3, 4, 5, 6] };

/** When a schedule runs: again and again after the same time, or at the times of a calendar in a time zone (IANA name). */
export type ScheduleTimes = { everyMs: number } | { calendar: Calendar; timeZone: string };

/** When a secret is rotated by itself. */
export interface SecretSchedule {
  times: ScheduleTimes;
  /** Each run starts up to this much later, in milliseconds. */
  jitterMs: number;
  /** For how long a run that was missed is made up for, in milliseconds. */
  catchUpWindowMs: number;
  /** Whether the catalog keeps it from running; where it does not, operators pause and unpause it. */
  paused: boolean;
}

/** What an environment says of its schedules. */
export interface EnvironmentSchedules {
  /** An IANA name. */
  timeZone: string;
  /** When what is overdue is rotated; absent for never. */
  weeklyRun?: Calendar;
  /** When ages are measured; absent for never. */
  ageCheck?: Calendar;
  /** For secrets that say nothing else, in milliseconds. */
  jitterMs: number;
  /** In milliseconds. */
  catchUpWindowMs: number;
}

/** What applies to the schedules of an environment: what is written, else the defaults. */
export function environmentSchedules({ schedules = {} }: EnvironmentData): EnvironmentSchedules {
  const { timeZone = TIME_ZONE, weeklyRun = WEEKLY_RUN, ageCheck = AGE_CHECK, jitter, catchUpWindow } = schedules;
  return {
    timeZone,
    ...(weeklyRun !== 'never' && { weeklyRun }),
    ...(ageCheck !== 'never' && { ageCheck }),
    jitterMs: jitter ?? JITTER_MS,
    catchUpWindowMs: catchUpWindow ?? CATCH_UP_WINDOW_MS,
  };
}

/**
 * When a secret is rotated by itself. Where its own schedule names no times, it is as often as its environment says, and at
 * least once in its maximum age. API keys need somebody who watches their grace period, so they are rotated by hand unless their
 * own schedule names times.
 *
 * @returns `undefined` when it is rotated by hand.
 */
export function secretSchedule(
  environment: EnvironmentData,
  secret: SecretData,
  maxAgeMs: number,
): SecretSchedule | undefined {
  if (secret.schedule === 'by-hand') return undefined;
  const written = secret.schedule ?? {};
  const inherited = environmentSchedules(environment);
  const times = timesOf(environment, secret, maxAgeMs, written.timeZone ?? inherited.timeZone);
  if (!times) return undefined;
  return {
    times,
    // An inherited jitter must not move runs so far that they meet.
    jitterMs: written.jitter ?? Math.min(inherited.jitterMs, Math.floor(gapOf(times) / 2)),
    catchUpWindowMs: written.catchUpWindow ?? inherited.catchUpWindowMs,
    paused: written.paused ?? false,
  };
}

/** The shortest time between two runs that is certain, in milliseconds; at most a day for a calendar. */
export function gapOf(times: ScheduleTimes): number {
  return 'everyMs' in times ? times.everyMs : shortestGapMs(times.calendar);
}

function timesOf(
  { rotateEvery = Infinity }: EnvironmentData,
  { type, schedule = {} }: SecretData,
  maxAgeMs: number,
  timeZone: string,
): ScheduleTimes | undefined {
  if (schedule === 'by-hand') return undefined;
  const { every, calendar = schedule.cron } = schedule;
  if (calendar) return { calendar, timeZone };
  if (every !== undefined) return { everyMs: every };
  return type === 'api-key' ? undefined : { everyMs: Math.min(rotateEvery, maxAgeMs) };
}
