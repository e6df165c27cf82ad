import { asyncLocalStorage } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import { failure } from '../../failures';
import type { CallIdentity, HttpRequest } from './request';
import { retryAfterMs } from '../../retry-after';

/** What a service answered; must not get into a message but for its status. */
export interface HttpAnswer {
  status: number;
  /** How long the service asks to be left alone, in milliseconds. */
  retryAfterMs?: number;
  /** Whether it says that there is more on another page (RFC 8288). */
  hasNextPage: boolean;
  /** Only of a successful answer to a call whose answer is needed. */
  text?: string;
}

/** Far above any list of keys; what is longer is something else. */
const LONGEST_ANSWER = 1024 * 1024;

const TLS_PROBLEM = /^(ERR_TLS|ERR_SSL|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT_|HOSTNAME_MISMATCH)/;

/**
 * Sends one request and reads its answer. Redirects are not followed: they would take the administrator's credential elsewhere.
 * Ends with the activity's cancellation where there is one.
 *
 * @param needsText whether the answer's body is read.
 * @throws TargetUnavailable when there is no whole answer in time, TlsRefused, CatalogInvalid when the answer is longer than 1 MiB.
 */
export async function exchange(
  request: HttpRequest,
  identity: CallIdentity,
  timeoutMs: number,
  needsText: boolean,
): Promise<HttpAnswer> {
  const cancelled = asyncLocalStorage.getStore()?.cancellationSignal;
  cancelled?.throwIfAborted();
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = setTimeout(end, timeoutMs);
  cancelled?.addEventListener('abort', end);
  try {
    const response = await fetch(request.url, {
      method: identity.method,
      headers: request.headers,
      body: request.body,
      redirect: 'manual',
      signal: ending.signal,
    });
    const answer: HttpAnswer = {
      status: response.status,
      retryAfterMs: retryAfterMs(response.headers.get('retry-after'), Date.now()),
      hasNextPage: /;\s*rel="?[^",;]*\bnext\b/i.test(response.headers.get('link') ?? ''),
    };
    if (needsText && response.ok) return { ...answer, text: await textOf(response) };
    await response.body?.cancel();
    return answer;
  } catch (error) {
    cancelled?.throwIfAborted();
    if (error instanceof AnswerTooLong) throw tooLong(identity);
    throw noAnswer(ending.signal.aborted ? `none within ${formatDuration(timeoutMs)}` : codeOf(error), identity);
  } finally {
    clearTimeout(timer);
    cancelled?.removeEventListener('abort', end);
  }
}

class AnswerTooLong extends Error {}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).byteLength;
    if (size > LONGEST_ANSWER) throw new AnswerTooLong();
    chunks.push(chunk as Uint8Array);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** Node's code of a connection's error. Its message is left out: it may quote the URL. */
function codeOf(error: unknown): string {
  const code = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'the connection broke';
}

function noAnswer(reason: string, { operation, method, origin, about }: CallIdentity): ApplicationFailure {
  if (TLS_PROBLEM.test(reason)) {
    return failure(
      Cause.TlsRefused,
      `The certificate of ${origin} is not trusted (${reason}), so the ${operation} call of ${about} was not made. Renew the certificate, or name its certificate authority to the worker in NODE_EXTRA_CA_CERTS.`,
    );
  }
  return failure(
    Cause.TargetUnavailable,
    `${origin} gave no answer to ${method} for the ${operation} call of ${about} (${reason}). ${method === 'GET' ? '' : 'Whether the call took effect is not known. '}It is made again.`,
  );
}

function tooLong({ operation, origin, about }: CallIdentity): ApplicationFailure {
  return failure(
    Cause.CatalogInvalid,
    `${origin} answered the ${operation} call of ${about} with more than 1 MiB, which is not read. Correct the call's url in the catalog, so that it is about less.`,
  );
}
