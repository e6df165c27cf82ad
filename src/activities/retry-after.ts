/** A step is given minutes, not hours: who asks for more is asked again after this, and says so again. */
const LONGEST_WAIT_MS = 60_000;
const SHORTEST_WAIT_MS = 1_000;

/**
 * Reads a Retry-After header: seconds, or an HTTP date (RFC 9110 section 10.2.3).
 *
 * @returns 1 to 60 seconds, in milliseconds; `undefined` when there is none that can be read.
 */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  const text = header?.trim() ?? '';
  const waitMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : /[a-z]/i.test(text) ? Date.parse(text) - now : NaN;
  if (Number.isNaN(waitMs)) return undefined;
  return Math.round(Math.min(Math.max(waitMs, SHORTEST_WAIT_MS), LONGEST_WAIT_MS));
}
