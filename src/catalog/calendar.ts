/** The times that a calendar names: it matches when every field does. Numbers in ascending order, each once. */
export interface Calendar {
  /** 0 to 59. */
  minutes: number[];
  /** 0 to 23. */
  hours: number[];
  /** 1 to 31. */
  daysOfMonth: number[];
  /** 1 to 12. */
  months: number[];
  /** 0 for Sunday to 6 for Saturday. */
  daysOfWeek: number[];
}

/** A field of a calendar, and what it may hold. */
export const CALENDAR_FIELDS = {
  minutes: { first: 0, last: 59 },
  hours: { first: 0, last: 23 },
  daysOfMonth: { first: 1, last: 31 },
  months: { first: 1, last: 12 },
  daysOfWeek: { first: 0, last: 6 },
} as const satisfies Record<keyof Calendar, { first: number; last: number }>;

/** By their numbers in calendars and cron expressions. */
export const DAYS_OF_WEEK = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

/** January first, whose number is 1. */
export const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
] as const;

/** February with its leap day. */
const LAST_DAY_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Every number that a field may hold. */
export function everyOf(field: keyof Calendar): number[] {
  const { first, last } = CALENDAR_FIELDS[field];
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Whether some year has a day that it names: the 31st of February has none. */
export function namesSomeDay({ daysOfMonth, months }: Calendar): boolean {
  return months.some((month) => daysOfMonth.some((day) => day <= (LAST_DAY_OF_MONTH[month - 1] ?? 0)));
}

const MINUTE_MS = 60_000;
const MINUTES_OF_DAY = 1_440;

/** The shortest time between two times of one day, or of one day and the next, in milliseconds; at most a day. */
export function shortestGapMs({ minutes, hours }: Calendar): number {
  const times = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
  const [first = 0] = times;
  return Math.min(...times.map((time, index) => (times[index + 1] ?? first + MINUTES_OF_DAY) - time)) * MINUTE_MS;
}

/**
 * The calendar as a cron expression of five fields, which is short and has one meaning: `0 2 * * MON`. The first Monday of each
 * month is `0 2 * * MON#1`, for cron would take a day of the month beside a day of the week for either of them.
 */
export function cronTextOf(calendar: Calendar): string {
  const day = (number: number) => DAYS_OF_WEEK[number]?.slice(0, 3).toUpperCase() ?? String(number);
  if (calendar.daysOfWeek.length === 1 && calendar.daysOfMonth.join() === '1,2,3,4,5,6,7') {
    return `${cronTextOf({ ...calendar, daysOfMonth: everyOf('daysOfMonth') })}#1`;
  }
  return [
    fieldText('minutes', calendar),
    fieldText('hours', calendar),
    fieldText('daysOfMonth', calendar),
    fieldText('months', calendar),
    fieldText('daysOfWeek', calendar, day),
  ].join(' ');
}

function fieldText(field: keyof Calendar, calendar: Calendar, nameOf: (number: number) => string = String): string {
  const numbers = calendar[field];
  const { first, last } = CALENDAR_FIELDS[field];
  if (numbers.length === last - first + 1) return '*';
  const runs: number[][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && run.at(-1) === number - 1) run.push(number);
    else runs.push([number]);
  }
  return runs
    .flatMap((run) => (run.length > 2 ? [`${nameOf(run[0] ?? 0)}-${nameOf(run.at(-1) ?? 0)}`] : run.map(nameOf)))
    .join(',');
}
