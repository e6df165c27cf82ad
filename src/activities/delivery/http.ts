import { Context } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { formatDuration } from '../../rotation/durations';
import type { HttpDependent } from '../../rotation/plan';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';

const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Asks a workload's health address once.
 *
 * @throws DependentUnhealthy with the answer's status.
 */
export async function seeHealthy(dependent: HttpDependent): Promise<void> {
  const answer = await ask(dependent.healthUrl, Context.current().cancellationSignal);
  if (answer === dependent.expectStatus) return;
  throw failure(
    Cause.DependentUnhealthy,
    `${dependent.name} is not healthy: ${new URL(dependent.healthUrl).origin} answered ${answer}, expected ${dependent.expectStatus}, for up to ${formatDuration(dependent.timeoutMs)}.`,
  );
}

/** The status of one answer, or why there was none. The body is never read: health pages quote all sorts of things. */
async function ask(url: string, cancelled: AbortSignal): Promise<number | string> {
  try {
    return await outsideCall('http', 'GET health', async () => {
      const response = await fetch(url, {
        redirect: 'manual',
        signal: AbortSignal.any([cancelled, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
      });
      await response.body?.cancel();
      return response.status;
    });
  } catch (error) {
    cancelled.throwIfAborted();
    const cause = (error as { cause?: { code?: string } }).cause?.code;
    return `nothing (${cause ?? (error instanceof Error ? error.name : 'unknown error')})`;
  }
}
