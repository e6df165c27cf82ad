const MILLISECONDS = {
  ms: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
} as const;

/** The longest grace period that a catalog can allow, in milliseconds. */
export const LONGEST_GRACE_PERIOD_MS = 365 * MILLISECONDS.day;

/** The longest grace period where the catalog says nothing else, in milliseconds: what nobody ends for a month has been forgotten. */
export const MAX_GRACE_PERIOD_MS = 30 * MILLISECONDS.day;

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)$/i;

/**
 * Reads a duration as people write it: `'90 days'`, `'7d'`, `'1 hour'`, `'30 seconds'`, `'500 ms'`.
 *
 * @returns whole milliseconds, or `undefined` when the text is not a non-negative duration. Months and years are refused
 * because their length depends on the calendar.
 */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text.trim());
  if (!match?.[1] || !match[2]) return undefined;
  const unit = match[2].toLowerCase();
  const factor =
    unit === 'ms'
      ? MILLISECONDS.ms
      : unit.startsWith('s')
        ? MILLISECONDS.second
        : unit.startsWith('m')
          ? MILLISECONDS.minute
          : unit.startsWith('h')
            ? MILLISECONDS.hour
            : unit.startsWith('d')
              ? MILLISECONDS.day
              : MILLISECONDS.week;
  const milliseconds = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** A duration for people, in its two largest units: `'6 d 23 h'`, `'42 s'`, `'350 ms'`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < MILLISECONDS.second) return `${Math.round(milliseconds)} ms`;
  const units: [string, number][] = [
    ['d', MILLISECONDS.day],
    ['h', MILLISECONDS.hour],
    ['min', MILLISECONDS.minute],
    ['s', MILLISECONDS.second],
  ];
  const first = units.findIndex(([, size]) => milliseconds >= size);
  let rest = milliseconds;
  return units
    .slice(first, first + 2)
    .map(([unit, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count > 0 ? `${count} ${unit}` : '';
    })
    .filter(Boolean)
    .join(' ');
}
