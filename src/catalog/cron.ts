import type { Calendar } from './calendar';
import { CALENDAR_FIELDS, DAYS_OF_WEEK, everyOf, MONTHS } from './calendar';
import { quoted } from './problems';

/** The five fields in the order in which cron has them (POSIX, crontab), and what people call them. */
const FIELDS: { field: keyof Calendar; called: string; names?: readonly string[] }[] = [
  { field: 'minutes', called: 'minute' },
  { field: 'hours', called: 'hour' },
  { field: 'daysOfMonth', called: 'day of the month' },
  // The empty name stands for 0, which no month has.
  { field: 'months', called: 'month', names: ['', ...MONTHS] },
  { field: 'daysOfWeek', called: 'day of the week', names: DAYS_OF_WEEK },
];

const ITEM = /^(?:(\*)|([a-z\d]+)(?:-([a-z\d]+))?)(?:\/(\d{1,4}))?$/i;
/** Cron takes 7 for Sunday too. */
const OTHER_SUNDAY = 7;

/**
 * Reads a standard cron expression: minute, hour, day of the month, month, day of the week, each with `*`, numbers, ranges, lists
 * and steps; months and days of the week also by their English names, in full or the first three letters.
 *
 * @returns the calendar, or what is wrong with the text.
 */
export function parseCron(text: string): { calendar: Calendar } | { problem: string } {
  const parts = text.trim().split(/\s+/);
  if (text.trim().startsWith('@')) {
    return { problem: `${quoted(text)} is a short form: write its five fields, such as "0 2 * * MON"` };
  }
  if (parts.length !== FIELDS.length) {
    return {
      problem: `${quoted(text)} has ${parts.length === 1 ? 'one field' : `${parts.length} fields`}: expected five (minute, hour, day of the month, month, day of the week), such as "0 2 * * MON"`,
    };
  }
  const calendar: Partial<Calendar> = {};
  for (const [index, { field, called, names }] of FIELDS.entries()) {
    const read = readField(parts[index] ?? '', field, names);
    if (!read) {
      const { first, last } = CALENDAR_FIELDS[field];
      return { problem: `${quoted(parts[index])} is no ${called} of a cron expression: ${first} to ${last} are known` };
    }
    calendar[field] = read;
  }
  const read = calendar as Calendar;
  if (restricts(read, 'daysOfMonth') && restricts(read, 'daysOfWeek')) {
    return {
      problem: `${quoted(text)} names days of the month and days of the week: cron would run on either, other schedulers only where both agree; write one of the two as *`,
    };
  }
  return { calendar: read };
}

function restricts(calendar: Calendar, field: keyof Calendar): boolean {
  return calendar[field].length < everyOf(field).length;
}

function readField(text: string, field: keyof Calendar, names?: readonly string[]): number[] | undefined {
  const found = new Set<number>();
  for (const item of text.split(',')) {
    const numbers = readItem(item, field, names);
    if (!numbers) return undefined;
    for (const number of numbers) found.add(field === 'daysOfWeek' ? number % OTHER_SUNDAY : number);
  }
  return [...found].sort((a, b) => a - b);
}

function readItem(item: string, field: keyof Calendar, names?: readonly string[]): number[] | undefined {
  const [matched, star, from = '', to, stepText] = ITEM.exec(item) ?? [];
  if (matched === undefined) return undefined;
  const { first, last } = CALENDAR_FIELDS[field];
  const largest = field === 'daysOfWeek' ? OTHER_SUNDAY : last;
  const start = star ? first : numberOf(from, names);
  // Cron's `5/10` means from 5 to the end.
  const end = star || (to === undefined && stepText !== undefined) ? last : numberOf(to ?? from, names);
  const step = stepText === undefined ? 1 : Number(stepText);
  if (start === undefined || end === undefined || step < 1) return undefined;
  if (start < first || end > largest || start > end) return undefined;
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step);
}

function numberOf(text: string, names: readonly string[] = []): number | undefined {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  const wanted = text.toLowerCase();
  const index = names.findIndex((name) => name !== '' && (name === wanted || name.slice(0, 3) === wanted));
  return index < 0 ? undefined : index;
}
