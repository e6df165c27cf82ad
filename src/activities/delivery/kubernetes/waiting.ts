import { Context } from '@temporalio/activity';

/** However late an attempt begins, it looks for this long. */
const SHORTEST_LOOK_MS = 10_000;

/** Ends when the activity that runs this code is cancelled. */
export function cancellation(): AbortSignal {
  return currentContext()?.cancellationSignal ?? new AbortController().signal;
}

/**
 * When a wait is over, in milliseconds since the epoch. It counts from the time when the activity was scheduled first, so that an attempt
 * that takes over from a dead worker goes on with the same wait.
 */
export function endOfWait(limitMs: number, now = Date.now()): number {
  const since = Math.min(currentContext()?.info.scheduledTimestampMs ?? now, now);
  return Math.max(since + limitMs, now + Math.min(limitMs, SHORTEST_LOOK_MS));
}

/** Whether the activity was begun before, by a worker that may have been killed in the midst of it. */
export function isLaterAttempt(): boolean {
  return (currentContext()?.info.attempt ?? 1) > 1;
}

function currentContext(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}
