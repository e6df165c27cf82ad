const MINUTE_MS = 60_000;
/** The beginning and the end of two years, of which 2028 is a leap year. */
export const FROM = Date.parse('2027-01-01T00:00:00Z');
export const TO = Date.parse('2029-01-01T00:00:00Z');
/** Every offset of a time zone, and every time that is asked for, is a multiple of it. */
const STEP_MS = 15 * MINUTE_MS;

/** The wall clock of a zone. */
export interface Local {
  month: number;
  day: number;
  weekday: string;
  hour: number;
  minute: number;
}

/** The wall clock of a zone at each step of the two years, by the time zones of Node.js. */
const clocks = new Map<string, { at: number; local: Local }[]>();
export function clockOf(timeZone: string): { at: number; local: Local }[] {
  const known = clocks.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    ...{ month: 'numeric', day: 'numeric', weekday: 'short', hour: 'numeric', minute: 'numeric', hourCycle: 'h23' },
  });
  const clock = Array.from({ length: (TO - FROM) / STEP_MS }, (_, n) => {
    const at = FROM + n * STEP_MS;
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const { month, day, weekday = '', hour, minute } = parts;
    return {
      at,
      local: { month: Number(month), day: Number(day), weekday, hour: Number(hour), minute: Number(minute) },
    };
  });
  clocks.set(timeZone, clock);
  return clock;
}

/** When the wall clock of a zone shows what is wanted; where it shows it twice in one day, because it was set back, the second time. */
export function whenClockShows(timeZone: string, wanted: (local: Local) => boolean): number[] {
  const shown = new Map<string, number>();
  const clock = clockOf(timeZone).filter(({ local }) => wanted(local));
  for (const { at, local } of clock) {
    shown.set(`${new Date(at).getUTCFullYear()} ${JSON.stringify(local)}`, at);
  }
  return [...shown.values()];
}
