import { asyncLocalStorage } from '@temporalio/activity';
import { formatDuration } from '../../rotation/durations';
import { retryAfterMs } from '../retry-after';
import { outsideCall } from '../boundary/activity-scope';
import { never, notNow } from './refusals';

const TIMEOUT_MS = 10_000;

/** 4xx statuses that pass by themselves: Request Timeout, Too Early, Too Many Requests (RFC 9110, RFC 8470, RFC 6585). */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** A message to a channel over HTTP; its address and headers may hold credentials and do not get into a message. */
export interface Post {
  channel: string;
  /** For the audit record, such as `slack`. */
  system: string;
  url: string;
  headers?: Record<string, string>;
  body: string;
}

/**
 * Posts JSON. Redirects are not followed: they would take a credential elsewhere.
 *
 * @throws ChannelRefused for a 3xx or a 4xx that does not pass, TargetUnavailable for every other answer than a 2xx, and for none.
 */
export async function post({ channel, system, url, headers, body }: Post): Promise<void> {
  const cancelled = asyncLocalStorage.getStore()?.cancellationSignal;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = cancelled ? AbortSignal.any([cancelled, timeout]) : timeout;
  const response = await outsideCall(
    system,
    'POST',
    async () => {
      try {
        const answer = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body,
          redirect: 'manual',
          signal,
        });
        await answer.body?.cancel();
        return answer;
      } catch (error) {
        cancelled?.throwIfAborted();
        throw notNow(channel, timeout.aborted ? `no answer within ${formatDuration(TIMEOUT_MS)}` : codeOf(error));
      }
    },
    ({ status }) => String(status),
  );
  const { status } = response;
  if (status >= 200 && status < 300) return;
  if (status >= 500 || PASSING.has(status)) {
    throw notNow(channel, `it answered ${status}`, retryAfterMs(response.headers.get('retry-after'), Date.now()));
  }
  throw never(
    channel,
    `it answered ${status}`,
    'Check its address and its credential, which the catalog names, and that it still exists on the other side.',
  );
}

/** fetch says why in the cause of its error. */
function codeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  return String(code ?? name ?? 'no reason given');
}
