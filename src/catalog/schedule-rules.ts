import { formatDuration } from '../rotation/durations';
import { namesSomeDay, type Calendar } from './calendar';
import { secretPolicy } from './defaults';
import type { Report } from './problems';
import { gapOf, secretSchedule } from './schedules';
import type { EnvironmentData, SecretData } from './schema';

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

/** Secrets Manager asks for no more than one change of a value in ten minutes (PutSecretValue, API reference). */
const SHORTEST_INTERVAL_MS = 10 * MINUTE_MS;
const LONGEST_JITTER_MS = DAY_MS;
const LONGEST_CATCH_UP_MS = 365 * DAY_MS;

/** Finds what is wrong between the values that one environment gives for its schedules; paths start below the environment. */
export function checkEnvironmentSchedules(environment: EnvironmentData, report: Report): void {
  const { schedules = {}, rotateEvery, maxAge } = environment;
  checkPeriods(schedules, (path, message) => report(['schedules', ...path], message));
  if (rotateEvery === undefined) return;
  checkInterval(rotateEvery, (message) => report(['rotateEvery'], message));
  if (maxAge !== undefined && rotateEvery > maxAge) {
    report(
      ['rotateEvery'],
      `is ${formatDuration(rotateEvery)}, but maxAge lets no secret become older than ${formatDuration(maxAge)}`,
    );
  }
}

/** Finds what is wrong with the schedule of one secret; paths start below the secret. */
export function checkSchedule(
  environment: string,
  environmentData: EnvironmentData,
  name: string,
  secret: SecretData,
  report: Report,
): void {
  const { schedule } = secret;
  if (schedule === undefined || schedule === 'by-hand') return;
  const here: Report = (path, message) => report(['schedule', ...path], message);
  const { every, calendar, cron, timeZone } = schedule;
  const given = Object.entries({ every, calendar, cron }).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  if (given.length > 1) return here([], `has ${given.join(' and ')}: only one of them can say when`);
  if (given.length === 0 && secret.type === 'api-key') {
    return here([], 'says not when: API keys are rotated by hand unless every, calendar or cron is written');
  }
  if (timeZone !== undefined && !calendar && !cron) {
    here(['timeZone'], 'has no effect without calendar or cron: an interval is counted in UTC');
  }
  const policy = secretPolicy(environment, environmentData, name, secret);
  if (every !== undefined) {
    checkInterval(every, (message) => here(['every'], message));
    if (every > policy.maxAgeMs) {
      here(
        ['every'],
        `is ${formatDuration(every)}, but the secret is overdue after ${formatDuration(policy.maxAgeMs)}: write a longer maxAge, or rotate it more often`,
      );
    }
    if (policy.gracePeriodMs !== undefined && policy.gracePeriodMs >= every) {
      here(
        ['every'],
        `is ${formatDuration(every)}, but the grace period lasts ${formatDuration(policy.gracePeriodMs)}: the next run would find the one before`,
      );
    }
  }
  if (calendar) checkCalendar(calendar, (message) => here(['calendar'], message));
  if (cron) checkCalendar(cron, (message) => here(['cron'], message));
  checkPeriods(schedule, here);
  const { jitter } = schedule;
  const times = secretSchedule(environmentData, secret, policy.maxAgeMs)?.times;
  if (jitter === undefined || times === undefined || jitter < gapOf(times) || jitter > LONGEST_JITTER_MS)
    return undefined;
  return here(
    ['jitter'],
    `is ${formatDuration(jitter)}, but runs may be ${formatDuration(gapOf(times))} apart: it must be shorter than that`,
  );
}

function checkInterval(milliseconds: number, report: (message: string) => void): void {
  if (milliseconds >= SHORTEST_INTERVAL_MS) return;
  report(
    `is ${formatDuration(milliseconds)}: Secrets Manager asks for at least 10 minutes between two changes of a secret`,
  );
}

function checkCalendar(calendar: Calendar, report: (message: string) => void): void {
  if (!namesSomeDay(calendar)) report('names a day that no year has');
  else
    checkInterval(gapOf({ calendar, timeZone: 'UTC' }), (message) =>
      report(`runs as often as every ${message.slice(3)}`),
    );
}

function checkPeriods({ jitter, catchUpWindow }: { jitter?: number; catchUpWindow?: number }, report: Report): void {
  if (jitter !== undefined && jitter > LONGEST_JITTER_MS) {
    report(['jitter'], `is ${formatDuration(jitter)}: at most 24 hours are allowed`);
  }
  if (catchUpWindow === undefined) return;
  if (catchUpWindow > LONGEST_CATCH_UP_MS) {
    report(['catchUpWindow'], `is ${formatDuration(catchUpWindow)}: at most 365 days are allowed`);
  }
  if (catchUpWindow < MINUTE_MS) {
    report(
      ['catchUpWindow'],
      `is ${formatDuration(catchUpWindow)}: at least one minute, or a worker's restart loses runs`,
    );
  }
}
