/** How long one activity attempt waits, and when a further request for a secret may be sent. All in milliseconds. */
export interface Patience {
  /** What one call of `create` may take; it must end before the activity's own limit of a minute. */
  attemptMs: number;
  /** How long a request whose outcome is unknown counts as possibly answered. */
  periodMs: number;
  /** A request is only sent this soon after the beginning of a period. */
  sendWithinMs: number;
}

/** One request a minute is what Amazon allows, so that of two within `sendWithinMs` it refuses the second. */
export const PATIENCE: Patience = { attemptMs: 40_000, periodMs: 10 * 60_000, sendWithinMs: 55_000 };

/**
 * How long to wait before a new client secret may be asked for, in milliseconds; 0 when it may be now.
 *
 * Amazon answers with 204 and sends the secret elsewhere, and it can't be asked whether it did. A request whose answer was lost, or whose
 * worker died, may therefore have made a secret that is still on its way, and asking again would make another. Nothing durable tells
 * later attempts whether it was sent. So time is divided into periods of ten minutes, beginning with `since`, and a request is
 * sent only in the first 55 seconds of one:
 *
 * - in the first period only by the first attempt of the activity;
 * - in each later one by any attempt, because a notification that has not come for ten minutes is not expected any more.
 *
 * Within these 55 seconds Amazon itself refuses a second request (0.0167 a second, burst 1). All other attempts wait for the notification.
 */
export function untilNextRequest(
  sinceMs: number,
  nowMs: number,
  attempt: number,
  { periodMs, sendWithinMs }: Patience,
): number {
  // A negative time is only clocks that differ.
  const elapsed = Math.max(0, nowMs - sinceMs);
  const inPeriod = elapsed % periodMs;
  const isFirstPeriod = elapsed < periodMs;
  const maySend = inPeriod < sendWithinMs && (!isFirstPeriod || attempt === 1);
  return maySend ? 0 : periodMs - inPeriod;
}
