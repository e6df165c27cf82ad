import { ApplicationFailure } from '@temporalio/common';
import type { Cluster } from './cluster';
import { askedTime } from './external-secret';
import type { Condition, ExternalSecretObject, SyncSource } from './external-secret';
import type { KubernetesObject, ObjectName } from './objects';
import { EVENTS, called } from './objects';
import { Refusal, tidy } from './refusals';

interface EventObject {
  type?: string;
  message?: string;
  lastTimestamp?: string;
}

interface StoreObject extends KubernetesObject {
  status?: { conditions?: Condition[] };
}

/**
 * Why External Secrets Operator has not synced, in words: the ExternalSecret's condition, its last warning, which alone quotes the
 * provider, and what is wrong with its store. Only looks; what the worker may not read is left out.
 */
export async function syncTrouble(cluster: Cluster, source: SyncSource): Promise<string> {
  const { externalSecret } = source;
  const found = await ifReadable(cluster.read<ExternalSecretObject>(externalSecret));
  if (!found) return `There is no ${called(externalSecret)} that can be read.`;
  const askedAt = askedTime(found) ?? askedTime(source.found);
  const { refreshTime } = found.status ?? {};
  if (askedAt !== undefined && Date.parse(refreshTime ?? '') < askedAt && isReady(found.status?.conditions)) {
    return `${called(externalSecret)} was synced last at ${refreshTime}, before it was asked for: is External Secrets Operator running?`;
  }
  const said = [saidBy(called(externalSecret), found.status?.conditions)];
  if (!isReady(found.status?.conditions)) {
    const store = await storeTrouble(cluster, externalSecret, found);
    const warning = await lastWarning(cluster, externalSecret);
    if (store) said.push(store);
    if (warning) said.push(`Its last warning: ${warning}.`);
  }
  return said.join(' ');
}

/** Whether an object of the operator's says that all is well. */
export function isReady(conditions: Condition[] = []): boolean {
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

function saidBy(name: string, conditions: Condition[] = []): string {
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (!ready) return `${name} has no condition yet: is External Secrets Operator running?`;
  const { status, reason, message } = ready;
  const why = [reason, message && tidy(message)].filter(Boolean).join(': ');
  return status === 'True'
    ? `${name} says that it is synced (${why}): look at its remoteRef, its template and the keys in the catalog.`
    : `${name} is not ready: ${why}.`;
}

async function storeTrouble(
  cluster: Cluster,
  { resource, namespace }: ObjectName,
  { spec }: ExternalSecretObject,
): Promise<string | undefined> {
  const { name, kind = 'SecretStore' } = spec.secretStoreRef ?? {};
  if (name === undefined) return undefined;
  const store: ObjectName =
    kind === 'ClusterSecretStore'
      ? { resource: { ...resource, plural: 'clustersecretstores', kind }, name }
      : { resource: { ...resource, plural: 'secretstores', kind }, namespace, name };
  const found = await ifReadable(cluster.read<StoreObject>(store).then((object) => ({ object })));
  if (!found) return undefined;
  if (!found.object) return `There is no ${called(store)}.`;
  const { conditions } = found.object.status ?? {};
  return conditions === undefined || isReady(conditions) ? undefined : saidBy(called(store), conditions);
}

async function lastWarning(cluster: Cluster, { namespace = '', name }: ObjectName): Promise<string | undefined> {
  const events = await ifReadable(
    cluster.list<EventObject>(
      EVENTS,
      namespace,
      `involvedObject.kind=ExternalSecret,involvedObject.name=${name},type=Warning`,
    ),
  );
  const last = events?.sort((a, b) => (a.lastTimestamp ?? '').localeCompare(b.lastTimestamp ?? '')).at(-1);
  return last?.message === undefined ? undefined : tidy(last.message);
}

/** An explanation must not hide what it explains. */
async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Refusal || error instanceof ApplicationFailure) return undefined;
    throw error;
  }
}
