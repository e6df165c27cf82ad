import { z } from 'zod';
import { DAYS_OF_WEEK, everyOf, MONTHS, type Calendar } from '../calendar';
import { parseCron } from '../cron';
import { timeZoneProblem } from '../time-zones';
import { duration, oneOf } from '../values';

/** One value or a list of them. */
function oneOrMore<T extends z.ZodType>(value: T, what: string, description: string) {
  return z
    .union([value, z.array(value).min(1, 'must not be an empty list')], {
      error: ({ input }) => (input === undefined ? `is missing: ${what}` : `must be ${what} or a list of them`),
    })
    .describe(description);
}

const number = (first: number, last: number) => z.int().min(first).max(last);
const days = oneOrMore(oneOf(DAYS_OF_WEEK), 'a day of the week', 'The days of the week; every day when absent');
const hours = oneOrMore(number(0, 23), 'a number from 0 to 23', 'The hours, 0 to 23');
const minutes = oneOrMore(number(0, 59), 'a number from 0 to 59', 'The minutes, 0 to 59; 0 when absent');

const calendarMapping = z.strictObject({
  dayOfWeek: days.optional(),
  dayOfMonth: oneOrMore(
    number(1, 31),
    'a number from 1 to 31',
    'The days of the month; every day when absent. A month without such a day is left out',
  ).optional(),
  month: oneOrMore(oneOf(MONTHS), 'a month', 'The months; every month when absent').optional(),
  hour: hours,
  minute: minutes.optional(),
});

const calendar = calendarMapping
  .transform(calendarOf)
  .describe('The times of a calendar: all that is written must match');

const cron = z
  .string()
  .transform((text, context): Calendar => {
    const read = parseCron(text);
    if ('calendar' in read) return read.calendar;
    context.addIssue({ code: 'custom', message: read.problem });
    return z.NEVER;
  })
  .meta({
    description: 'The times as a standard cron expression: minute, hour, day of the month, month, day of the week',
    examples: ['0 2 * * MON', '30 3 1 */3 *'],
  });

function timeZone(description: string) {
  return z
    .string()
    .superRefine((name, context) => {
      const problem = timeZoneProblem(name);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .meta({ description, examples: ['UTC', 'Europe/Berlin'] });
}

const jitter = duration('Each run starts up to this much later, so that not all start at once', true);
const catchUpWindow = duration('A run that was missed while Temporal was down is made up for so long');

const scheduleMapping = z.strictObject({
  every: duration('How often the secret is rotated').optional(),
  calendar: calendar.optional(),
  cron: cron.optional(),
  timeZone: timeZone("Of calendar or cron; the environment's when absent").optional(),
  jitter: jitter.optional(),
  catchUpWindow: catchUpWindow.optional(),
  paused: z
    .boolean()
    .optional()
    .describe('true keeps the schedule from starting anything; when absent, operators pause and unpause it'),
});

/** What a secret says of its schedule. */
export const schedule = z
  .union([scheduleMapping, oneOf(['by-hand'])], { error: unlikeSchedule })
  .describe('When the secret is rotated by itself, or by-hand; as its type and environment say when absent');

function unlikeSchedule({ input, code }: { input?: unknown; code: string }): string | undefined {
  const known = (typeof input === 'object' && input !== null && !Array.isArray(input)) || typeof input === 'string';
  return code === 'invalid_union' && !known
    ? 'must be a mapping with every, calendar or cron, such as {every: 30 days}, or the word by-hand'
    : undefined;
}

const weeklyRunMapping = z.strictObject({
  dayOfWeek: oneOf(DAYS_OF_WEEK).default('monday').describe('The day of the week; monday when absent'),
  hour: number(0, 23).default(2).describe('The hour, 0 to 23; 2 when absent'),
  minute: number(0, 59).default(0).describe('The minute, 0 to 59; 0 when absent'),
});

const ageCheckMapping = z.strictObject({
  hour: number(0, 23).default(6).describe('The hour, 0 to 23; 6 when absent'),
  minute: number(0, 59).default(0).describe('The minute, 0 to 59; 0 when absent'),
});

/** What an environment says of the schedules that it gets. */
export const schedules = z
  .strictObject({
    timeZone: timeZone(
      'Of the weekly run and the age check, and of all calendars that name no other; UTC when absent',
    ).optional(),
    weeklyRun: z
      .union([weeklyRunMapping.transform(calendarOf), oneOf(['never'])])
      .optional()
      .describe('When what is overdue is rotated; Mondays at 02:00 when absent; or never'),
    ageCheck: z
      .union([ageCheckMapping.transform(calendarOf), oneOf(['never'])])
      .optional()
      .describe(
        'When, each day, the ages of all secrets are measured and people told of what is overdue; 06:00 when absent; or never',
      ),
    jitter: jitter.optional(),
    catchUpWindow: catchUpWindow.optional(),
  })
  .describe('The schedules of this environment');

interface WrittenCalendar {
  dayOfWeek?: (typeof DAYS_OF_WEEK)[number] | (typeof DAYS_OF_WEEK)[number][] | undefined;
  dayOfMonth?: number | number[] | undefined;
  month?: (typeof MONTHS)[number] | (typeof MONTHS)[number][] | undefined;
  hour: number | number[];
  minute?: number | number[] | undefined;
}

function calendarOf({ dayOfWeek, dayOfMonth, month, hour, minute = 0 }: WrittenCalendar): Calendar {
  return {
    minutes: ascending(minute),
    hours: ascending(hour),
    daysOfMonth: dayOfMonth === undefined ? everyOf('daysOfMonth') : ascending(dayOfMonth),
    months: month === undefined ? everyOf('months') : ascending(listOf(month).map((name) => MONTHS.indexOf(name) + 1)),
    daysOfWeek:
      dayOfWeek === undefined
        ? everyOf('daysOfWeek')
        : ascending(listOf(dayOfWeek).map((name) => DAYS_OF_WEEK.indexOf(name))),
  };
}

function listOf<T extends string | number>(written: T | T[]): T[] {
  return Array.isArray(written) ? written : [written];
}

function ascending(written: number | number[]): number[] {
  return [...new Set(listOf(written))].sort((a, b) => a - b);
}

export const SCHEDULE_MAPPINGS = {
  schedule: scheduleMapping,
  calendar: calendarMapping,
  schedules,
  weeklyRun: weeklyRunMapping,
  ageCheck: ageCheckMapping,
};
