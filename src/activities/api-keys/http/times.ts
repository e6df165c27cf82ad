/** Seconds since 1970 stay below this until the year 5138; milliseconds have been above it since 1973. */
const SECONDS_BELOW = 1e11;

const WITHOUT_ZONE = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/;

/**
 * Reads a time as services write it: ISO 8601 (one without a zone is UTC, wherever the worker runs), or seconds or milliseconds since
 * 1970.
 *
 * @returns ISO 8601 in UTC; `undefined` when it is no time.
 */
export function isoTime(time: unknown): string | undefined {
  const milliseconds =
    typeof time === 'number'
      ? Math.abs(time) < SECONDS_BELOW
        ? time * 1_000
        : time
      : typeof time === 'string'
        ? Date.parse(WITHOUT_ZONE.test(time) ? `${time.replace(' ', 'T')}Z` : time)
        : NaN;
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
