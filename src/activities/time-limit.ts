import { setMaxListeners } from 'node:events';

/**
 * Makes a call with a signal that aborts when the given one does, or after so long. As soon as the call has ended, nothing of it is left:
 * neither a timer, nor a listener on the given signal, which is an activity's and so outlives many calls.
 *
 * Not `AbortSignal.any` with `AbortSignal.timeout`: Node 20 holds neither, so that garbage collection takes the timeout with its timer
 * while a request waits for it (nodejs/node, `AbortSignal.any` keeps weak references to its sources).
 *
 * @param limitMs after it the reason is a TimeoutError, as with `AbortSignal.timeout`.
 * @param call all that the limit is for: with a request, the reading of its answer too.
 */
export async function withTimeLimit<T>(
  cancelled: AbortSignal,
  limitMs: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = new AbortController();
  const cancel = () => limited.abort(cancelled.reason);
  const timer = setTimeout(
    () => limited.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
    limitMs,
  );
  // A wait that nobody waits for any more keeps no process.
  timer.unref();
  // A step asks for more than ten rights at a time, and each listener goes with its call.
  setMaxListeners(0, cancelled);
  if (cancelled.aborted) cancel();
  else cancelled.addEventListener('abort', cancel, { once: true });
  try {
    return await call(limited.signal);
  } finally {
    clearTimeout(timer);
    cancelled.removeEventListener('abort', cancel);
  }
}
