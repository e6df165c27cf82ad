import type { CalendarSpec, Range, ScheduleOptions, ScheduleSpec } from '@temporalio/client';
import { DAYS_OF_WEEK, MONTHS, ScheduleOverlapPolicy } from '@temporalio/client';
import { createHash } from 'node:crypto';
import { reviewCalendar } from '../../catalog';
import type { Calendar, Catalog, CatalogSecret, EnvironmentPolicy, ScheduleTimes } from '../../catalog';
import type { CheckAgesInput } from '../../rotation/ages';
import { REVIEW_INTERVALS, REVIEW_WORKFLOW } from '../../rotation/review';
import type { ReviewCoverage, ReviewInput, ReviewInterval } from '../../rotation/review';
import { rotationScheduleId, SCHEDULE_ID_PREFIX } from '../../rotation/schedule-ids';
import type { RotationInput } from '../../rotation/types';
import { USAGE_WATCH_WORKFLOW } from '../../rotation/usage-metric';
import type { WatchUsageMetricsInput } from '../../rotation/usage-metric';

/** A schedule that the catalog asks for, in the shape in which Temporal takes it. */
export interface WantedSchedule {
  scheduleId: string;
  environment: string;
  spec: ScheduleSpec;
  action: ScheduleOptions['action'];
  policies: { overlap: ScheduleOverlapPolicy; catchupWindow: number; pauseOnFailure: boolean };
  /** Whether the catalog keeps it from running. */
  paused: boolean;
  /** Whether it runs once as soon as it is created. */
  runsAtOnce?: true;
}

/** Who a scheduled run is said to be asked for by. */
const REQUESTED_BY = 'schedule';

/**
 * The schedules that a catalog asks for: one for each secret that is rotated by itself, and the weekly run,
 * the daily age check and the reviews of each environment, and the hourly watch over uses where metrics count them.
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
    .flatMap((policy) => {
      const own = secrets.filter((secret) => secret.environment === policy.environment);
      return [
        ...weeklyRun(policy, taskQueue),
        ...own.flatMap((secret) => rotation(policy, secret, taskQueue)),
        ...ageCheck(policy, taskQueue),
        ...reviews(policy, own, taskQueue),
        ...usageWatch(policy, own, taskQueue),
      ];
    });
}

function rotation(policy: EnvironmentPolicy, declared: CatalogSecret, taskQueue: string): WantedSchedule[] {
  const { environment, secret, secretId, schedule } = declared;
  if (!schedule) return [];
  const scheduleId = rotationScheduleId(secretId);
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

/** One as often as the environment says, and one for each other interval that a secret of it has. */
function reviews(policy: EnvironmentPolicy, secrets: CatalogSecret[], taskQueue: string): WantedSchedule[] {
  const { environment, review: inherited } = policy;
  const others = new Set(secrets.map(({ review }) => review).filter((own) => own !== inherited));
  return [
    ...(inherited === 'off' ? [] : [review(policy, inherited, 'inherited', environment, taskQueue)]),
    ...REVIEW_INTERVALS.filter((interval) => others.has(interval)).map((interval) =>
      review(policy, interval, interval, `${environment}/${interval}`, taskQueue),
    ),
  ];
}

function review(
  { environment, schedules }: EnvironmentPolicy,
  interval: ReviewInterval,
  covers: ReviewCoverage,
  name: string,
  taskQueue: string,
): WantedSchedule {
  const input: ReviewInput = { environment, covers, reason: `the ${interval} review`, requestedBy: REQUESTED_BY };
  const summary = `The ${interval} review of ${environment}`;
  return {
    scheduleId: `${SCHEDULE_ID_PREFIX}review/${name}`,
    environment,
    spec: {
      calendars: [calendarSpecOf(reviewCalendar(interval, schedules))],
      timezone: schedules.timeZone,
      jitter: 0,
    },
    action: actionOf(REVIEW_WORKFLOW, `scheduled/review/${name}`, taskQueue, input, summary),
    policies: policiesOf(schedules.catchUpWindowMs),
    paused: false,
  };
}

/** Monitors of uses run by themselves; this starts them, and again when somebody has ended one. */
function usageWatch(policy: EnvironmentPolicy, secrets: readonly CatalogSecret[], taskQueue: string): WantedSchedule[] {
  if (!secrets.some(({ usesMetric }) => usesMetric !== undefined)) return [];
  const { environment } = policy;
  const scheduleId = `${SCHEDULE_ID_PREFIX}usage/${environment}`;
  const input: WatchUsageMetricsInput = { environment, requestedBy: REQUESTED_BY };
  const summary = `Have the uses counted that metrics of ${environment} tell`;
  return [
    {
      scheduleId,
      environment,
      spec: { ...specOf({ everyMs: HOUR_MS }, policy, scheduleId), jitter: 0 },
      action: actionOf(USAGE_WATCH_WORKFLOW, `scheduled/usage/${environment}`, taskQueue, input, summary),
      policies: policiesOf(policy.schedules.catchUpWindowMs),
      paused: false,
      runsAtOnce: true,
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
const HOUR_MS = 60 * MINUTE_MS;
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
