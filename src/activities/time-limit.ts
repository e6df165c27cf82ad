/**
 * Aborts when the given signal does, or after so long.
 *
 * Not `AbortSignal.any` with `AbortSignal.timeout`: Node 20 holds neither, so that garbage collection takes the timeout with its timer
 * while a request waits for it (nodejs/node, `AbortSignal.any` keeps weak references to its sources).
 *
 * @param limitMs after it the reason is a TimeoutError, as with `AbortSignal.timeout`.
 */
export function withTimeLimit(cancelled: AbortSignal, limitMs: number): AbortSignal {
  const limited = new AbortController();
  const cancel = () => {
    clearTimeout(timer);
    limited.abort(cancelled.reason);
  };
  const timer = setTimeout(() => {
    cancelled.removeEventListener('abort', cancel);
    limited.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
  }, limitMs);
  // A wait that nobody waits for any more keeps no process.
  timer.unref();
  if (cancelled.aborted) cancel();
  else cancelled.addEventListener('abort', cancel, { once: true });
  return limited.signal;
}
