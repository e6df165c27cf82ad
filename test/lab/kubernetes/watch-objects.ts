import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { callApi, type ApiAccess } from './api';

interface Named {
  metadata: { name: string };
}

interface List<T> {
  metadata: { resourceVersion: string };
  items: T[];
}

interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

const AGAIN_AFTER_MS = 200;

/**
 * Follows the objects of one kind in one namespace: lists them, then watches, and starts anew when the watch is cut.
 *
 * @param path such as `/api/v1/namespaces/dev/pods?labelSelector=app`
 * @param onChange is given all of them by name, at first and after each change
 * @returns ends it
 */
export function watchObjects<T extends Named>(
  access: ApiAccess,
  path: string,
  onChange: (objects: ReadonlyMap<string, T>) => void,
): () => Promise<void> {
  const stopping = new AbortController();
  const following = follow(access, path, onChange, stopping.signal);
  return async () => {
    stopping.abort();
    await following;
  };
}

async function follow<T extends Named>(
  access: ApiAccess,
  path: string,
  onChange: (objects: ReadonlyMap<string, T>) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const list = await callApi<List<T>>(access, 'GET', path);
      const objects = new Map(list?.items.map((object) => [object.metadata.name, object]));
      onChange(objects);
      for await (const { type, object } of changes<T>(access, path, list?.metadata.resourceVersion ?? '0', signal)) {
        // What was listed is too old to go on from.
        if (type === 'ERROR') break;
        if (type === 'BOOKMARK') continue;
        if (type === 'DELETED') objects.delete(object.metadata.name);
        else objects.set(object.metadata.name, object);
        onChange(objects);
      }
    } catch {
      // The API server is away, or this is being stopped.
    }
    await delay(AGAIN_AFTER_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function* changes<T>(
  { server, ca, token }: ApiAccess,
  path: string,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const query = `${path.includes('?') ? '&' : '?'}watch=true&resourceVersion=${resourceVersion}`;
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
    request(`${server}${path}${query}`, { ca, headers, signal }, resolve).on('error', reject).end();
  });
  response.on('error', () => undefined);
  for await (const line of createInterface({ input: response })) yield JSON.parse(line) as WatchEvent<T>;
}
