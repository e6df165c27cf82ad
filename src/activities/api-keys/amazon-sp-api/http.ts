import { outsideCall, protect } from '../../boundary/activity-scope';
import { withTimeLimit } from '../../time-limit';
import { currentAttempt } from './current-attempt';

const ANSWER_TIMEOUT_MS = 8_000;
const LONGEST_RETRY_AFTER_MS = 5 * 60_000;

/** What was heard, or that nothing was. */
export type Heard =
  | { kind: 'answer'; status: number; headers: Headers; body: string }
  /** No connection was made, so the request had no effect. */
  | { kind: 'not-reached'; reason: string }
  /** The request may have had its effect. */
  | { kind: 'no-answer'; reason: string };

/** What undici and the resolver say when there was no connection to send a request over. */
const NO_CONNECTION = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT']);

/**
 * Posts once. The body is registered for redaction before anything else is done with it; redirects are not followed, because the request
 * carries a secret.
 */
export async function post(
  system: string,
  operation: string,
  url: string,
  headers: Record<string, string>,
  body?: URLSearchParams,
): Promise<Heard> {
  const { cancelled } = currentAttempt();
  try {
    return await outsideCall<Heard>(
      system,
      operation,
      () =>
        withTimeLimit(cancelled, ANSWER_TIMEOUT_MS, async (signal) => {
          const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
          const text = protect(await response.text());
          return { kind: 'answer', status: response.status, headers: response.headers, body: text };
        }),
      (heard) => (heard.kind === 'answer' && heard.status >= 300 ? `HTTP ${heard.status}` : 'ok'),
    );
  } catch (error) {
    cancelled.throwIfAborted();
    const code = (error as { cause?: { code?: unknown } }).cause?.code;
    const reason = typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown error';
    return { kind: NO_CONNECTION.has(reason) ? 'not-reached' : 'no-answer', reason };
  }
}

/**
 * How long an answer asks to wait, in milliseconds: `Retry-After` in seconds or as a date, else the time between two requests that
 * `x-amzn-RateLimit-Limit` allows. Source: SP-API documentation, Usage Plans and Rate Limits.
 */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const asked = headers.get('retry-after');
  const perSecond = Number(headers.get('x-amzn-ratelimit-limit') ?? Number.NaN);
  const waits = [
    asked === null ? Number.NaN : Number(asked) * 1_000,
    asked === null ? Number.NaN : Date.parse(asked) - nowMs,
    1_000 / perSecond,
  ];
  const wait = waits.find((ms) => Number.isFinite(ms) && ms >= 0);
  return wait === undefined ? undefined : Math.min(Math.ceil(wait), LONGEST_RETRY_AFTER_MS);
}
