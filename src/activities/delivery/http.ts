import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { formatDuration } from '../../rotation/durations';
import type { HttpDependent } from '../../rotation/dependents';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';
import { withTimeLimit } from '../time-limit';

const ANSWER_TIMEOUT_MS = 5_000;

/** The pause after the nth look is twice as long as the one before, up to the longest. */
const PAUSE_MS = { first: 1_000, longest: 10_000 };

/**
 * Asks a workload's health address once.
 *
 * @throws DependentUnhealthy with the answer's status, to be tried again until the dependent's time is over. It counts from when the
 * activity was scheduled, but is not over before somebody has looked: a worker that was down is no reason to call a workload sick.
 */
export async function seeHealthy(dependent: HttpDependent): Promise<void> {
  const { cancellationSignal, info } = Context.current();
  const answer = await ask(dependent.healthUrl, cancellationSignal);
  if (answer === dependent.expectStatus) return;
  const message = `${dependent.name} is not healthy: ${new URL(dependent.healthUrl).origin} answered ${answer}, expected ${dependent.expectStatus}, for up to ${formatDuration(dependent.timeoutMs)}.`;
  const leftMs = dependent.timeoutMs - (info.currentAttemptScheduledTimestampMs - info.scheduledTimestampMs);
  const pauseMs = Math.min(PAUSE_MS.first * 2 ** (info.attempt - 1), PAUSE_MS.longest);
  if (pauseMs >= leftMs) throw ApplicationFailure.nonRetryable(message, Cause.DependentUnhealthy);
  throw failure(Cause.DependentUnhealthy, message, pauseMs);
}

/** The status of one answer, or why there was none. The body is never read: health pages quote all sorts of things. */
async function ask(url: string, cancelled: AbortSignal): Promise<number | string> {
  try {
    return await outsideCall('http', 'GET health', () =>
      withTimeLimit(cancelled, ANSWER_TIMEOUT_MS, async (signal) => {
        const response = await fetch(url, { redirect: 'manual', signal });
        await response.body?.cancel();
        return response.status;
      }),
    );
  } catch (error) {
    cancelled.throwIfAborted();
    const cause = (error as { cause?: { code?: string } }).cause?.code;
    return `nothing (${cause ?? (error instanceof Error ? error.name : 'unknown error')})`;
  }
}
