import type { CalendarSpec, Range, ScheduleOptions, ScheduleSpec } from '@temporalio/client';
import { DAYS_OF_WEEK, MONTHS, ScheduleOverlapPolicy } from '@temporalio/client';
import { createHash } from 'node:crypto';
import type { Calendar, Catalog, CatalogSecret, EnvironmentPolicy, ScheduleTimes } from '../../catalog';
import type { CheckAgesInput } from '../../rotation/ages';
import type { RotationInput } from '../../rotation/types';

/** A schedule that the catalog asks for, in the shape in which Temporal takes it. */
export interface WantedSchedule {
  scheduleId: string;
  environment: string;
  spec: ScheduleSpec;
  action: ScheduleOptions['action'];
  policies: { overlap: ScheduleOverlapPolicy; catchupWindow: number; pauseOnFailure: boolean };
  /** Whether the catalog keeps it from running. */
  paused: boolean;
}

/** All schedule IDs of Keyturn begin with it. */
export const SCHEDULE_ID_PREFIX = 'keyturn/';
const SCHEDULE_ID = /^keyturn\/(?:rotation\/([^/]+)\/.+|environment\/([^/]+)|ages\/([^/]+))$/;

/** The environment that a schedule ID of Keyturn names; `undefined` for any other ID. */
export function environmentOf(scheduleId: string): string | undefined {
  const [, ofRotation, ofEnvironment, ofAges] = SCHEDULE_ID.exec(scheduleId) ?? [];
  return ofRotation ?? ofEnvironment ?? ofAges;
}

/** Who a scheduled run is said to be asked for by. */
const REQUESTED_BY = 'schedule';

/**
 * The schedules that a catalog asks for: one for each secret that is rotated by itself, and the weekly run and
 * the daily age check of each environment.
 * Secrets' schedules start `rotate`, whose rotation runs under the secret's own workflow ID; so a scheduled and a manual rotation
 * never meet on one secret.
 *
 * @param environment only this one's; all when absent.
 * @throws UnknownSecretError when the catalog does not declare that environment.
 */
export function wantedSchedules(catalog: Catalog, taskQueue: string, environment?: string): WantedSchedule[] {
  const secrets = catalog.secrets(environment);
  return catalog
    .environments()
    .filter((policy) => environment === undefined || policy.environment === environment)
    .flatMap((policy) => [
      ...weeklyRun(policy, taskQueue),
      ...secrets
        .filter((secret) => secret.environment === policy.environment)
        .flatMap((secret) => rotation(policy, secret, taskQueue)),
      ...ageCheck(policy, taskQueue),
    ]);
}

function rotation(policy: EnvironmentPolicy, declared: CatalogSecret, taskQueue: string): WantedSchedule[] {
  const { environment, secret, secretId, schedule } = declared;
  if (!schedule) return [];
  const scheduleId = `${SCHEDULE_ID_PREFIX}rotation/${secretId}`;
  const input: RotationInput = { environment, secret, requestedBy: REQUESTED_BY };
  return [
    {
      scheduleId,
      environment,
      spec: { ...specOf(schedule.times, policy, scheduleId), jitter: schedule.jitterMs },
      action: actionOf('rotate', `scheduled/rotation/${secretId}`, taskQueue, input, `Rotate ${secretId} as scheduled`),
      policies: policiesOf(schedule.catchUpWindowMs),
      paused: schedule.paused,
    },
  ];
}

function weeklyRun({ environment, schedules }: EnvironmentPolicy, taskQueue: string): WantedSchedule[] {
  const { weeklyRun: calendar, timeZone, catchUpWindowMs } = schedules;
  if (!calendar) return [];
  const input = { environment, due: true, reason: 'the weekly run', requestedBy: REQUESTED_BY };
  const summary = `Rotate what is overdue in ${environment}`;
  return [
    {
      scheduleId: `${SCHEDULE_ID_PREFIX}environment/${environment}`,
      environment,
      spec: { calendars: [calendarSpecOf(calendar)], timezone: timeZone, jitter: 0 },
      action: actionOf('rotateEnvironment', `scheduled/environment/${environment}`, taskQueue, input, summary),
      policies: policiesOf(catchUpWindowMs),
      paused: false,
    },
  ];
}

function ageCheck({ environment, schedules }: EnvironmentPolicy, taskQueue: string): WantedSchedule[] {
  const { ageCheck: calendar, timeZone, catchUpWindowMs } = schedules;
  if (!calendar) return [];
  const input: CheckAgesInput = { environment, reason: 'the daily age check', requestedBy: REQUESTED_BY };
  const summary = `How old the secrets of ${environment} are`;
  return [
    {
      scheduleId: `${SCHEDULE_ID_PREFIX}ages/${environment}`,
      environment,
      spec: { calendars: [calendarSpecOf(calendar)], timezone: timeZone, jitter: 0 },
      action: actionOf('checkSecretAges', `scheduled/ages/${environment}`, taskQueue, input, summary),
      policies: policiesOf(catchUpWindowMs),
      paused: false,
    },
  ];
}

/** Temporal appends the time of the run to the workflow ID. */
function actionOf(
  workflowType: string,
  workflowId: string,
  taskQueue: string,
  input: object,
  staticSummary: string,
): WantedSchedule['action'] {
  return { type: 'startWorkflow', workflowType, workflowId, taskQueue, args: [input], staticSummary };
}

/** A run that finds the one before still running, such as in its grace period, is left out. */
function policiesOf(catchupWindow: number): WantedSchedule['policies'] {
  return { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow, pauseOnFailure: false };
}

function specOf(times: ScheduleTimes, policy: EnvironmentPolicy, scheduleId: string): ScheduleSpec {
  if ('everyMs' in times) {
    return {
      intervals: [{ every: times.everyMs, offset: offsetOf(times.everyMs, policy, scheduleId) }],
      timezone: 'UTC',
    };
  }
  return { calendars: [calendarSpecOf(times.calendar)], timezone: times.timeZone };
}

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

/**
 * Where in its interval a schedule runs, in milliseconds. Temporal counts intervals from 1970 on, so that without it all secrets of one
 * interval would be rotated on the same day. It follows from the schedule's ID alone; whole days keep to the hour of the
 * weekly run, in UTC.
 */
function offsetOf(
  everyMs: number,
  { schedules: { weeklyRun: calendar } }: EnvironmentPolicy,
  scheduleId: string,
): number {
  const spread = createHash('sha256').update(scheduleId).digest().readUIntBE(0, 6);
  if (everyMs % DAY_MS !== 0) return (spread % Math.floor(everyMs / MINUTE_MS)) * MINUTE_MS;
  const [hour = 2] = calendar?.hours ?? [];
  const [minute = 0] = calendar?.minutes ?? [];
  return (spread % (everyMs / DAY_MS)) * DAY_MS + (hour * 60 + minute) * MINUTE_MS;
}

function calendarSpecOf({ minutes, hours, daysOfMonth, months, daysOfWeek }: Calendar): CalendarSpec {
  return {
    second: 0,
    minute: minutes.map(one),
    hour: hours.map(one),
    dayOfMonth: daysOfMonth.map(one),
    month: MONTHS.filter((_, index) => months.includes(index + 1)).map(one),
    dayOfWeek: DAYS_OF_WEEK.filter((_, index) => daysOfWeek.includes(index)).map(one),
  };
}

function one<Unit>(value: Unit): Range<Unit> {
  return { start: value, end: value, step: 1 };
}
