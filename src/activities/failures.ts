import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../rotation/errors';

/** Causes that may go away by themselves; everything else is an answer, and asking again would only repeat it. */
const PASSING: ReadonlySet<Cause> = new Set([
  Cause.TargetUnavailable,
  Cause.AdministratorRefused,
  Cause.TargetBusy,
  Cause.NotYetVisible,
  Cause.Throttled,
  Cause.DependentUnhealthy,
  Cause.SessionsStillOpen,
  Cause.Unexpected,
]);

/**
 * A failure with a message for operators. The message must say what happened, to what, and what to do, and must not hold a value.
 *
 * @param retryAfterMs asks Temporal to wait that long before the next attempt instead of its own backoff.
 */
export function failure(cause: Cause, message: string, retryAfterMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: cause,
    message,
    nonRetryable: !PASSING.has(cause),
    ...(retryAfterMs !== undefined && { nextRetryDelay: retryAfterMs }),
  });
}
