import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';

/** It may work later; Temporal tries again. */
export function notNow(channel: string, why: string, retryAfterMs?: number): ApplicationFailure {
  return failure(
    Cause.TargetUnavailable,
    `The channel ${channel} did not take a notification: ${why}. It is tried again.`,
    retryAfterMs,
  );
}

/** It would be refused again. @param todo what the operator can do, as a sentence. */
export function never(channel: string, why: string, todo: string): ApplicationFailure {
  return failure(Cause.ChannelRefused, `The channel ${channel} cannot be told anything: ${why}. ${todo}`);
}
