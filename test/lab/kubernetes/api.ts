import { request as httpsRequest } from 'node:https';
import { parseAllDocuments } from 'yaml';
import { setTimeout as delay } from 'node:timers/promises';

/** A Kubernetes API server and how to be its administrator. */
export interface ApiAccess {
  /** `https://host:port` */
  server: string;
  /** What its certificate is verified with, PEM. */
  ca: string;
  token: string;
}

/** What all objects of the API have. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

const ANSWERS_WITHIN_MS = 20_000;
const DEFINED_WITHIN_MS = 30_000;
const FIELD_MANAGER = 'keyturn-lab';

const CONTENT_TYPES: Record<Method, string> = {
  GET: 'application/json',
  POST: 'application/json',
  PATCH: 'application/merge-patch+json',
  DELETE: 'application/json',
};

/** 429 is also said while the storage of a custom resource is made anew, for a second or so. */
const TRIES = 20;
const RETRY_MS = 500;

/**
 * One request. It says what a test sees without the client library that Keyturn itself uses.
 *
 * @param path from the root, such as `/api/v1/namespaces/dev/secrets/database`
 * @param body as JSON; for PATCH a merge patch
 * @returns the answer; `undefined` when there is no such object
 * @throws Error with the message of the API server
 */
export async function callApi<T>(
  access: ApiAccess,
  method: Method,
  path: string,
  body?: object,
  contentType = CONTENT_TYPES[method],
): Promise<T | undefined> {
  let tries = 0;
  let answer = await send(access, method, path, body && JSON.stringify(body), contentType);
  while (answer.status === 429 && ++tries < TRIES) {
    await delay(RETRY_MS);
    answer = await send(access, method, path, body && JSON.stringify(body), contentType);
  }
  const { status, text } = answer;
  if (status === 404) return undefined;
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${messageOf(text)}`);
  return JSON.parse(text) as T;
}

/** Whether the API server is ready for requests. */
export async function isReady(access: ApiAccess): Promise<boolean> {
  try {
    return (await send(access, 'GET', '/readyz')).status === 200;
  } catch {
    return false;
  }
}

/**
 * Applies manifests, one after the other, server-side and with force; those without a namespace go to `default`. A field that the API does not
 * know is an error. Returns when the custom resources that they define can be used.
 *
 * @param manifests YAML, one document or several
 */
export async function applyManifests(access: ApiAccess, manifests: string): Promise<void> {
  const kinds = new Map<string, Promise<ApiResource[]>>();
  const applied: string[] = [];
  for (const document of parseAllDocuments(manifests)) {
    const object = document.toJS() as KubernetesObject | null;
    if (object === null) continue;
    const path = await pathOf(access, object, kinds);
    const query = `?fieldManager=${FIELD_MANAGER}&force=true&fieldValidation=Strict`;
    const found = await callApi(access, 'PATCH', `${path}${query}`, object, 'application/apply-patch+yaml');
    if (found === undefined) throw new Error(`${object.kind} ${object.metadata.name}: its namespace does not exist`);
    if (object.kind === 'CustomResourceDefinition') applied.push(path);
  }
  await Promise.all(applied.map((path) => established(access, path)));
}

interface ApiResource {
  name: string;
  kind: string;
  namespaced: boolean;
}

async function pathOf(
  access: ApiAccess,
  { apiVersion, kind, metadata }: KubernetesObject,
  known: Map<string, Promise<ApiResource[]>>,
): Promise<string> {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const resources = known.get(root) ?? resourcesOf(access, root);
  known.set(root, resources);
  const resource = (await resources).find(({ name, kind: found }) => found === kind && !name.includes('/'));
  if (resource === undefined) throw new Error(`The cluster has no ${kind} of ${apiVersion}.`);
  const namespace = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  return `${root}${namespace}/${resource.name}/${metadata.name}`;
}

async function resourcesOf(access: ApiAccess, root: string): Promise<ApiResource[]> {
  return (await callApi<{ resources: ApiResource[] }>(access, 'GET', root))?.resources ?? [];
}

interface CustomResourceDefinition {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] };
  status?: { conditions?: { type: string; status: string }[] };
}

async function established(access: ApiAccess, path: string): Promise<void> {
  const deadline = Date.now() + DEFINED_WITHIN_MS;
  while (Date.now() < deadline) {
    const definition = await callApi<CustomResourceDefinition>(access, 'GET', path);
    const conditions = definition?.status?.conditions ?? [];
    const isEstablished = conditions.some(({ type, status }) => type === 'Established' && status === 'True');
    if (definition && isEstablished && (await isDiscovered(access, definition))) return;
    await delay(100);
  }
  throw new Error(`${path} is not established within ${DEFINED_WITHIN_MS / 1000} s`);
}

/** An established definition may take another moment until requests find it. */
async function isDiscovered(access: ApiAccess, { spec }: CustomResourceDefinition): Promise<boolean> {
  const served = spec.versions.filter((version) => version.served);
  const found = await Promise.all(served.map(({ name }) => resourcesOf(access, `/apis/${spec.group}/${name}`)));
  return found.every((resources) => resources.some(({ name }) => name === spec.names.plural));
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}

function send(
  { server, ca, token }: ApiAccess,
  method: Method,
  path: string,
  body?: string,
  contentType?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = { authorization: `Bearer ${token}`, accept: 'application/json' };
    if (body !== undefined && contentType !== undefined) headers['content-type'] = contentType;
    const signal = AbortSignal.timeout(ANSWERS_WITHIN_MS);
    const request = httpsRequest(`${server}${path}`, { method, ca, headers, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}
