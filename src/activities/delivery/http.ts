import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { formatDuration } from '../../rotation/durations';
import type { HttpDependent } from '../../rotation/plan';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';

const ANSWER_TIMEOUT_MS = 5_000;
const PAUSE_MS = 1_000;

/**
 * Asks a workload's health address until it answers as expected.
 *
 * @param deadline in milliseconds since the epoch.
 * @throws DependentUnhealthy with the last answer's status.
 */
export async function waitUntilHealthy(dependent: HttpDependent, deadline: number): Promise<void> {
  const { cancellationSignal } = Context.current();
  for (;;) {
    const answer = await ask(dependent.healthUrl, cancellationSignal);
    if (answer === dependent.expectStatus) return;
    if (Date.now() + PAUSE_MS >= deadline) {
      throw failure(
        Cause.DependentUnhealthy,
        `${dependent.name} did not become healthy within ${formatDuration(dependent.timeoutMs)}: ${new URL(dependent.healthUrl).origin} answered ${answer}, expected ${dependent.expectStatus}.`,
      );
    }
    await sleep(PAUSE_MS, undefined, { signal: cancellationSignal });
  }
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
