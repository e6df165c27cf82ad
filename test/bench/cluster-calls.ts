import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';

interface Kubeconfig {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
  users: [{ user: { token: string } }];
}

interface WatchEvent<T> {
  type: string;
  object: T;
}

/** A state of an object, from which it can be watched. */
export interface ObjectState {
  metadata: { name: string; resourceVersion: string };
}

/** Calls of the Kubernetes API with nothing around them: no retry, no resumption of a watch, over connections that stay open. */
export interface ClusterCalls {
  get<T>(path: string): Promise<T>;
  /** A merge patch. */
  patch<T>(path: string, body: object): Promise<T>;
  /**
   * Watches an object until a state is the last that is wanted; a state that is known may be it.
   *
   * @param collection such as `/api/v1/namespaces/dev/secrets`
   */
  watchUntil<T>(collection: string, known: T & ObjectState, isLast: (state: T) => boolean): Promise<void>;
  close(): void;
}

/** @param kubeconfig the path of one that the lab wrote. */
export async function openClusterCalls(kubeconfig: string): Promise<ClusterCalls> {
  const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster;
  const authorization = `Bearer ${users[0].user.token}`;
  const agent = new Agent({ keepAlive: true, ca: Buffer.from(ca, 'base64') });

  async function send(path: string, body?: object): Promise<IncomingMessage> {
    const headers = { authorization, ...(body && { 'content-type': 'application/merge-patch+json' }) };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpsRequest(`${server}${path}`, { agent, headers, method: body ? 'PATCH' : 'GET' }, resolve);
      request.on('error', reject);
      request.end(body && JSON.stringify(body));
    });
    if ((response.statusCode ?? 0) < 300) return response;
    throw new Error(`${path}: ${response.statusCode} ${await text(response)}`);
  }

  return {
    get: async <T>(path: string) => JSON.parse(await text(await send(path))) as T,
    patch: async <T>(path: string, body: object) => JSON.parse(await text(await send(path, body))) as T,
    async watchUntil<T>(collection: string, known: T & ObjectState, isLast: (state: T) => boolean) {
      if (isLast(known)) return;
      const { name, resourceVersion } = known.metadata;
      const selected = `fieldSelector=metadata.name%3D${name}&resourceVersion=${resourceVersion}`;
      const response = await send(`${collection}?watch=true&${selected}`);
      try {
        for await (const line of createInterface({ input: response })) {
          if (isLast((JSON.parse(line) as WatchEvent<T>).object)) return;
        }
      } finally {
        response.destroy();
      }
      throw new Error(`The watch of ${collection}/${name} ended before it saw what it was for.`);
    },
    close: () => agent.destroy(),
  };
}
