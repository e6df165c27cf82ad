import type { CalendarSpec, LooseRange, ScheduleDescription, ScheduleSpec } from '@temporalio/client';
import { DAYS_OF_WEEK, MONTHS } from '@temporalio/client';
import { createHash } from 'node:crypto';
import { cronTextOf } from '../../catalog';
import type { WantedSchedule } from './wanted';

/** What a schedule does, in words by field: the same for what the catalog wants and for what Temporal has. */
export type Reading = Record<string, string>;

type Readable = Pick<WantedSchedule, 'spec' | 'policies'> & {
  action: WantedSchedule['action'] | ScheduleDescription['action'];
  state?: { remainingActions?: number };
};

/**
 * Reads a schedule. Temporal compiles specs when it stores them, so that two that mean the same may look different; read like
 * this they are the same.
 */
export function readingOf({ spec, policies, action, state }: Readable): Reading {
  const { taskQueue, args, retry, workflowExecutionTimeout, workflowRunTimeout, staticSummary } = action;
  return {
    runs: timesText(spec),
    'time zone': spec.timezone ?? 'UTC',
    jitter: durationText(spec.jitter),
    'catch-up window': durationText(policies.catchupWindow),
    overlap: policies.overlap ?? 'SKIP',
    'pause on failure': policies.pauseOnFailure ? 'yes' : 'no',
    starts: `${String(action.workflowType)} ${canonicalJson(args?.[0])}${(args?.length ?? 0) > 1 ? ' and more' : ''}`,
    'workflow ID': String(action.workflowId),
    'task queue': taskQueue,
    summary: staticSummary ?? '',
    limits: limitsText(spec, {
      actions: state?.remainingActions,
      retry: retry?.maximumAttempts,
      workflowExecutionTimeout,
      workflowRunTimeout,
    }),
  };
}

/** Of a reading: what is noted when a schedule is written, to find out later whether somebody else has changed it. */
export function digestOf(reading: Reading): string {
  return createHash('sha256').update(canonicalJson(reading)).digest('hex').slice(0, 32);
}

/** One line for people: `every 60 d`, `0 2 * * MON in Europe/Berlin`. */
export function timesText({ calendars = [], intervals = [] }: ScheduleSpec): string {
  const texts = [
    ...intervals.map(({ every, offset }) => {
      const after = Number(offset ?? 0);
      return `every ${exactly(Number(every))}${after > 0 ? ` (${exactly(after)} into each)` : ''}`;
    }),
    ...calendars.map(calendarText),
  ];
  return texts.join(' and ') || 'never';
}

function calendarText(calendar: CalendarSpec): string {
  const second = numbersOf(calendar.second, 0, 59);
  const year = numbersOf(calendar.year, 0, 9999);
  const text = cronTextOf({
    minutes: numbersOf(calendar.minute, 0, 59),
    hours: numbersOf(calendar.hour, 0, 23),
    daysOfMonth: numbersOf(calendar.dayOfMonth, 1, 31),
    months: numbersOf(calendar.month, 1, 12, (month) => MONTHS.indexOf(month) + 1),
    daysOfWeek: numbersOf(calendar.dayOfWeek, 0, 6, (day) => DAYS_OF_WEEK.indexOf(day)),
  });
  const seconds = second.join() === '0' ? '' : ` at the seconds ${second.join()}`;
  return `${text}${seconds}${year.length > 0 ? ` in ${year.join()}` : ''}`;
}

type Field<Unit> = LooseRange<Unit> | LooseRange<Unit>[] | '*' | undefined;

/** The numbers that a field matches, in ascending order. */
function numbersOf(written: Field<number>, first: number, last: number): number[];
function numbersOf<Unit>(written: Field<Unit>, first: number, last: number, numberOf: (unit: Unit) => number): number[];
function numbersOf<Unit>(
  written: Field<Unit>,
  first: number,
  last: number,
  numberOf: (unit: Unit) => number = Number,
): number[] {
  if (written === undefined) return [];
  const found = new Set<number>();
  for (const range of Array.isArray(written) ? written : [written]) {
    const { start, end, step } = rangeOf(range, first, last, numberOf);
    for (let number = start; number <= end; number += step) found.add(number);
  }
  return [...found].sort((a, b) => a - b);
}

function rangeOf<Unit>(
  range: LooseRange<Unit> | '*',
  first: number,
  last: number,
  numberOf: (unit: Unit) => number,
): { start: number; end: number; step: number } {
  if (range === '*') return { start: first, end: last, step: 1 };
  if (typeof range !== 'object' || range === null) {
    const start = numberOf(range as Unit);
    return { start, end: start, step: 1 };
  }
  const { start, end, step } = range as { start: Unit; end?: Unit; step?: number };
  return { start: numberOf(start), end: numberOf(end ?? start), step: Math.max(1, step ?? 1) };
}

/** Limits that Keyturn never sets and somebody may have set. */
function limitsText({ startAt, endAt, skip = [] }: ScheduleSpec, others: Record<string, unknown>): string {
  const limits = [
    ...(startAt ? [`from ${startAt.toISOString()}`] : []),
    ...(endAt ? [`until ${endAt.toISOString()}`] : []),
    ...(skip.length > 0 ? [`not at ${skip.map(calendarText).join(' and ')}`] : []),
    ...Object.entries(others).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${String(value)}`])),
  ];
  return limits.join(', ') || 'none';
}

function durationText(milliseconds: ScheduleSpec['jitter']): string {
  return milliseconds === undefined || milliseconds === 0 ? 'none' : exactly(Number(milliseconds));
}

const UNITS: [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** A duration in all of its units, so that two that differ never read the same. */
function exactly(milliseconds: number): string {
  let rest = milliseconds;
  const parts = UNITS.flatMap(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count} ${unit}`] : [];
  });
  return parts.join(' ') || '0 ms';
}

/** JSON whose keys are in order. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'nothing';
  const entries = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, part]) => `${JSON.stringify(key)}:${canonicalJson(part)}`).join(',')}}`;
}
