import type { IncomingMessage } from 'node:http';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import { outsideCall } from '../../boundary/activity-scope';
import { circuitBreakerFor } from '../../circuit-breaker';
import { failure } from '../../failures';
import { withTimeLimit } from '../../time-limit';
import { connect } from './connecting';
import type { Connection, HttpRequest } from './connecting';
import type { KubernetesObject, ObjectName, Resource } from './objects';
import { FIELD_MANAGER, calledInRoles, pathOf } from './objects';
import type { Asked } from './refusals';
import { Refusal, refusalOf, unansweredBecause } from './refusals';
import { UNAUTHENTICATED, connectWithRenewal } from './renewal';
import { cancellation } from './waiting';

const ANSWER_TIMEOUT_MS = 15_000;
const JSON_ANSWER = 'application/json';
/** Leaves out everything but the metadata (Kubernetes API concepts, 'Metadata-only fetches'). */
const METADATA_ANSWER = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

const ACCESS_REVIEWS = 'selfsubjectaccessreviews';

/** `merge`: RFC 7386. `apply`: server-side apply, which refuses to take a field from another manager unless forced. */
const PATCH_TYPES = { merge: 'application/merge-patch+json', apply: 'application/apply-patch+yaml' } as const;

/** An object, and the resource version from which it can be watched. */
export interface Listed<T> {
  object: T | undefined;
  resourceVersion: string;
}

/** One cluster's API, as far as a delivery needs it. A {@link Refusal} is thrown where an answer is neither success nor failure yet. */
export interface Cluster {
  /** How it is called in messages. */
  name: string;
  /** @throws PermissionDenied, TargetUnavailable, Throttled, TlsRefused; the others likewise. */
  read<T extends KubernetesObject>(object: ObjectName, which?: 'whole' | 'metadata'): Promise<T | undefined>;
  patch<T extends KubernetesObject>(
    object: ObjectName,
    patch: object,
    how?: { type?: keyof typeof PATCH_TYPES; manager?: string; force?: boolean },
  ): Promise<T>;
  /**
   * Reads one object as a list, whose resource version is new enough to watch from.
   *
   * @param notBefore a resource version that the answer need not be newer than: the API server then has it in memory. Otherwise it
   * first asks etcd how far its memory is behind, and waits (Kubernetes, KEP-2340).
   */
  listOne<T extends KubernetesObject>(object: ObjectName, notBefore?: string): Promise<Listed<T>>;
  /** The objects of a namespace that a field selector chooses. */
  list<T>(resource: Resource, namespace: string, fieldSelector: string): Promise<T[]>;
  /** Opens a watch for one object, which the API server ends after so many seconds. */
  openWatch(
    object: ObjectName,
    resourceVersion: string,
    seconds: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage>;
  /** Whether the worker has a right. It asks with a SelfSubjectAccessReview, which everybody may make where nobody forbade it. */
  mayI(verb: string, object: ObjectName): Promise<boolean>;
  /** The versions that the cluster serves of an API group, the preferred one first; none when it does not know the group. */
  versionsOf(group: string): Promise<string[]>;
}

/** Finds clusters by their context. Each is connected once, and again when it refuses the credentials. */
export function connectedClusters(): (context: string | undefined) => Promise<Cluster> {
  const clusters = new Map<string, Promise<Cluster>>();
  return (context) => {
    const key = context ?? '';
    let cluster = clusters.get(key);
    if (!cluster) {
      const forget = () => clusters.delete(key);
      cluster = connectWithRenewal(() => connect(context)).then((connection) => clusterOver(connection, forget));
      cluster.catch(forget);
      clusters.set(key, cluster);
    }
    return cluster;
  };
}

/** Without a signal of its own it is given the time of an answer. */
type Call = Pick<HttpRequest, 'path'> & Partial<HttpRequest> & { accept?: string };

function clusterOver(connection: Connection, onRefusedCredentials: () => void): Cluster {
  const { cluster } = connection;
  const breaker = circuitBreakerFor(`The API server of ${cluster}`);

  /** One request, whose answer is 2xx. */
  async function send(
    asked: Asked,
    { method = 'GET', path, accept, ...request }: Call,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const headers = { accept: accept ?? JSON_ANSWER, ...request.headers };
    let response: IncomingMessage;
    try {
      response = await connection.send({ ...request, method, path, headers, signal });
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      if (status === UNAUTHENTICATED) onRefusedCredentials();
      throw refusalOf(asked, status, await textOf(response), response.headers['retry-after']);
    } catch (error) {
      cancellation().throwIfAborted();
      if (error instanceof Refusal || error instanceof ApplicationFailure) throw error;
      throw unansweredBecause(asked, error);
    }
  }

  function call<T>(verb: string, resource: string, what: string, request: Call, take: Take<T>): Promise<T> {
    const asked = { cluster, verb, what };
    const answer = async (signal: AbortSignal) => take(await send(asked, request, signal), asked);
    return breaker(() =>
      outsideCall('kubernetes', `${verb.toUpperCase()} ${resource}`, () =>
        request.signal ? answer(request.signal) : withTimeLimit(cancellation(), ANSWER_TIMEOUT_MS, answer),
      ),
    );
  }

  const json = <T>(verb: string, object: ObjectName, request: Call) =>
    call<T>(verb, object.resource.plural, calledInRoles(object), request, parsed);

  return {
    name: cluster,
    read: (object, which = 'whole') =>
      unlessMissing(() =>
        json('get', object, {
          path: pathOf(object, object.name),
          accept: which === 'metadata' ? METADATA_ANSWER : JSON_ANSWER,
        }),
      ),
    patch: (object, patch, { type = 'merge', manager = FIELD_MANAGER, force = false } = {}) =>
      json('patch', object, {
        method: 'PATCH',
        path: `${pathOf(object, object.name)}?${query({ fieldManager: manager, ...(force && { force: 'true' }) })}`,
        headers: { 'content-type': PATCH_TYPES[type] },
        body: JSON.stringify(patch),
      }),
    listOne: async <T extends KubernetesObject>(object: ObjectName, notBefore?: string) => {
      const path = `${pathOf(object)}?${query({
        fieldSelector: `metadata.name=${object.name}`,
        ...(notBefore !== undefined && { resourceVersion: notBefore, resourceVersionMatch: 'NotOlderThan' }),
      })}`;
      const list = await json<ObjectList<T>>('list', object, { path });
      return { object: list.items[0], resourceVersion: list.metadata.resourceVersion };
    },
    list: async <T>(resource: Resource, namespace: string, fieldSelector: string) => {
      const path = `${pathOf({ resource, namespace })}?${query({ fieldSelector })}`;
      const what = `${resource.plural} in ${namespace}`;
      return (await call<ObjectList<T>>('list', resource.plural, what, { path }, parsed)).items;
    },
    openWatch: (object, resourceVersion, seconds, signal) => {
      const path = `${pathOf(object)}?${query({
        watch: 'true',
        fieldSelector: `metadata.name=${object.name}`,
        resourceVersion,
        timeoutSeconds: String(seconds),
      })}`;
      return call('watch', object.resource.plural, calledInRoles(object), { path, signal }, (response) => response);
    },
    mayI: async (verb, { resource, namespace, name }) => {
      const resourceAttributes = { verb, group: resource.group, resource: resource.plural, namespace, name };
      const review = await call<AccessReview>(
        'create',
        ACCESS_REVIEWS,
        ACCESS_REVIEWS,
        {
          method: 'POST',
          path: `/apis/authorization.k8s.io/v1/${ACCESS_REVIEWS}`,
          headers: { 'content-type': JSON_ANSWER },
          body: JSON.stringify({ spec: { resourceAttributes } }),
        },
        parsed,
      );
      return review.status?.allowed ?? false;
    },
    versionsOf: async (group) => {
      const found = await unlessMissing(() =>
        call<ApiGroup>('get', group, `the API group ${group}`, { path: `/apis/${group}` }, parsed),
      );
      return found?.versions.map(({ version }) => version) ?? [];
    },
  };
}

type Take<T> = (response: IncomingMessage, asked: Asked) => T | Promise<T>;

interface ObjectList<T> {
  metadata: { resourceVersion: string };
  items: T[];
}

interface AccessReview {
  status?: { allowed: boolean };
}

interface ApiGroup {
  versions: { version: string }[];
}

const query = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString();

async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return undefined;
    throw error;
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

async function parsed<T>(response: IncomingMessage, asked: Asked): Promise<T> {
  let text: string;
  try {
    text = await textOf(response);
  } catch (error) {
    cancellation().throwIfAborted();
    throw unansweredBecause(asked, error);
  }
  try {
    return JSON.parse(text) as T;
  } catch {
    // The parser's message quotes what it read.
    throw failure(
      Cause.TargetUnavailable,
      `The API server of ${asked.cluster} answered ${asked.verb} of ${asked.what} with something other than JSON.`,
    );
  }
}
