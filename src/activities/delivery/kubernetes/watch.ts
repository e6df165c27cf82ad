import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { withTimeLimit } from '../../time-limit';
import type { Cluster } from './cluster';
import type { KubernetesObject, ObjectName } from './objects';
import { Refusal } from './refusals';
import { cancellation } from './waiting';

/** Events may be lost by something in between, so that the object is read anew now and then. */
const RELIST_AFTER_MS = 60_000;
/** A watch that ends sooner is not opened again at once. */
const SHORT_LIVED_MS = 1_000;
const PAUSE_MS = { first: 200, longest: 5_000 };
const GONE = 410;

interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

/**
 * Shows an object's states, as they come, until one is the last that is wanted. It begins with the present one, watches from there, and
 * begins again when the watch is cut or its resource version is gone (Kubernetes API concepts, 'Efficient detection of changes').
 *
 * @param until in milliseconds since the epoch; the state at that time is still shown.
 * @param isLast is given `undefined` when there is no such object; what it throws ends the waiting.
 * @param known a state that was seen before; the first one that is shown is not older.
 * @returns whether there was such a state.
 * @throws TargetUnavailable when the API server cannot be reached again after a cut.
 */
export async function watchUntil<T extends KubernetesObject>(
  cluster: Cluster,
  object: ObjectName,
  until: number,
  isLast: (state: T | undefined) => boolean,
  known?: KubernetesObject,
): Promise<boolean> {
  let pauseMs = 0;
  let notBefore = known?.metadata.resourceVersion;
  for (;;) {
    const listed = await cluster.listOne<T>(object, notBefore);
    notBefore = undefined;
    if (isLast(listed.object)) return true;
    const leftMs = until - Date.now();
    if (leftMs <= 0) return false;

    const begun = performance.now();
    const watchMs = Math.min(leftMs, RELIST_AFTER_MS);
    if (await showedLast(cluster, object, listed.resourceVersion, watchMs, isLast)) return true;
    const shortLived = performance.now() - begun < Math.min(watchMs, SHORT_LIVED_MS);
    pauseMs = shortLived ? Math.min(Math.max(pauseMs * 2, PAUSE_MS.first), PAUSE_MS.longest) : 0;
    const stillMs = Math.max(0, until - Date.now());
    if (shortLived) await delay(Math.min(pauseMs, stillMs), undefined, { signal: cancellation() });
  }
}

/**
 * Shows the states that come after a resource version, for a while.
 *
 * @returns `false` when it ended, for whatever reason, without the last state.
 */
export async function showedLast<T>(
  cluster: Cluster,
  object: ObjectName,
  resourceVersion: string,
  forMs: number,
  isLast: (state: T | undefined) => boolean,
): Promise<boolean> {
  return withTimeLimit(cancellation(), forMs, async (ended) => {
    let response: IncomingMessage;
    try {
      response = await cluster.openWatch(object, resourceVersion, Math.ceil(forMs / 1_000), ended);
    } catch (error) {
      if (error instanceof Refusal && error.status === GONE) return false;
      if (ended.aborted && !cancellation().aborted) return false;
      throw error;
    }
    for await (const event of eventsOf<T>(response)) {
      if (event.type === 'ERROR') return false;
      if (event.type === 'BOOKMARK') continue;
      if (isLast(event.type === 'DELETED' ? undefined : event.object)) return true;
    }
    cancellation().throwIfAborted();
    return false;
  });
}

/** One JSON object a line. A stream that breaks off, or that holds anything else, simply ends: the object is then read anew. */
async function* eventsOf<T>(response: IncomingMessage): AsyncGenerator<WatchEvent<T>> {
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter(Boolean)) yield JSON.parse(line) as WatchEvent<T>;
    }
  } catch {
    return;
  } finally {
    response.destroy();
  }
}
