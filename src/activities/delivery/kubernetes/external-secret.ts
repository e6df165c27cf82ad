import { Cause } from '../../../rotation/errors';
import type { KubernetesDependent } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { KubernetesObject, ObjectName } from './objects';
import { FIELD_MANAGER, called, writtenAt } from './objects';
import { Refusal, isConflict } from './refusals';

const GROUP = 'external-secrets.io';
/** Which of the operator's versions are understood, the preferred one first. */
const VERSIONS = ['v1', 'v1beta1'];

/** Any change of an annotation makes the operator sync; this is the one that its documentation uses. */
const ANNOTATION = 'force-sync';

interface ExternalSecretSpec {
  refreshInterval?: string;
  refreshPolicy?: string;
  secretStoreRef?: { name?: string; kind?: string };
}

/** The fields that are read; `v1` and `v1beta1` agree in them. */
export interface ExternalSecretObject extends KubernetesObject {
  spec: ExternalSecretSpec;
  status?: {
    conditions?: Condition[];
    refreshTime?: string;
    /** The operator's digest of what the ExternalSecret, annotations included, was when it last synced. */
    syncedResourceVersion?: string;
  };
}

interface ClusterExternalSecretObject extends KubernetesObject {
  spec: {
    externalSecretName?: string;
    externalSecretMetadata?: { annotations?: Record<string, string> };
    externalSecretSpec: ExternalSecretSpec;
  };
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

/** What Keyturn asks the operator through: an ExternalSecret, or the ClusterExternalSecret that keeps it. */
export interface SyncSource {
  name: ObjectName;
  found: KubernetesObject;
  /** The ExternalSecret in the namespace. */
  externalSecret: ObjectName;
  /** What was last asked for; absent when Keyturn never asked. */
  asked?: SyncRequest;
}

/** The annotation's value, in words. It says for which version, so that asking for a version again changes nothing. */
export interface SyncRequest {
  versionId: string;
  /** The version that was asked for before. */
  after?: string;
  /** How often it was repeated, because the Secret had not changed for a while. */
  again?: number;
}

/**
 * Looks up what the operator is asked through.
 *
 * @throws NotSynced when the operator is not installed, the object is missing, or it never syncs a second time.
 */
export async function findSyncSource(cluster: Cluster, dependent: KubernetesDependent): Promise<SyncSource> {
  const served = await cluster.versionsOf(GROUP);
  const version = VERSIONS.find((known) => served.includes(known));
  if (version === undefined) {
    const others = served.length === 0 ? 'knows no such API group' : `serves ${served.join(', ')} only`;
    throw failure(
      Cause.NotSynced,
      `External Secrets Operator is not there to sync ${dependent.namespace}/${dependent.secret}: ${cluster.name} ${others}; Keyturn needs ${GROUP}/${VERSIONS.join(' or ')}. The Secret was left as it is. Install it, or use sync: push.`,
    );
  }
  const { namespace, externalSecret = dependent.secret } = dependent;
  const inNamespace = (name: string) => ({
    resource: { group: GROUP, version, plural: 'externalsecrets', kind: 'ExternalSecret' },
    namespace,
    name,
  });
  if (dependent.sync === 'cluster-external-secret') {
    const name = {
      resource: { group: GROUP, version, plural: 'clusterexternalsecrets', kind: 'ClusterExternalSecret' },
      name: externalSecret,
    };
    const found = await present<ClusterExternalSecretObject>(cluster, name, dependent);
    syncsAgain(found.spec.externalSecretSpec, name, dependent);
    const { externalSecretName, externalSecretMetadata } = found.spec;
    const asked = requestIn(externalSecretMetadata?.annotations?.[ANNOTATION]);
    return { name, found, asked, externalSecret: inNamespace(externalSecretName ?? externalSecret) };
  }
  const name = inNamespace(externalSecret);
  const found = await present<ExternalSecretObject>(cluster, name, dependent);
  syncsAgain(found.spec, name, dependent);
  return { name, found, asked: requestIn(found.metadata.annotations?.[ANNOTATION]), externalSecret: name };
}

/**
 * Asks the operator to sync now. A ClusterExternalSecret is given the annotation for its ExternalSecrets: the operator takes away what
 * they are annotated with directly, and only its later versions hand down an annotation of the ClusterExternalSecret itself.
 */
export async function askForSync(
  cluster: Cluster,
  { name }: SyncSource,
  request: SyncRequest,
): Promise<KubernetesObject> {
  const annotations = { [ANNOTATION]: textOf(request) };
  const patch =
    name.resource.plural === 'clusterexternalsecrets'
      ? { spec: { externalSecretMetadata: { annotations } } }
      : { metadata: { annotations } };
  try {
    return await cluster.patch(name, patch);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (isConflict(error)) {
      throw failure(
        Cause.TargetBusy,
        `Others write ${called(name)} in ${cluster.name} at the same time (${error.message}). It was not annotated; that is tried again.`,
      );
    }
    throw failure(
      Cause.NotSynced,
      `The API server of ${cluster.name} refuses the annotation for ${called(name)} with ${error.code}: ${error.message}.`,
    );
  }
}

/** What asks for a version in such a way that the operator syncs once more, also when that version was asked for last. */
export function nextRequest({ asked }: SyncSource, versionId: string): SyncRequest {
  if (asked?.versionId !== versionId) return { versionId, after: asked?.versionId };
  return { versionId, after: asked.after, again: (asked.again ?? 0) + 1 };
}

/** Whether an ExternalSecret has got a request, directly or from its ClusterExternalSecret. */
export function wasGiven({ metadata }: KubernetesObject, request: SyncRequest): boolean {
  return metadata.annotations?.[ANNOTATION] === textOf(request);
}

/** When Keyturn last asked through an object, in milliseconds since the epoch by the API server's clock. */
export function askedTime(object: KubernetesObject): number | undefined {
  const places = [['metadata'], ['spec', 'externalSecretMetadata']];
  return places.flatMap((place) => writtenAt(object, [...place, 'annotations', ANNOTATION], byKeyturn) ?? [])[0];
}

const byKeyturn = (manager: string) => manager === FIELD_MANAGER;

function textOf({ versionId, after, again }: SyncRequest): string {
  return [versionId, ...(after ? [`after ${after}`] : []), ...(again ? [`again ${again}`] : [])].join(', ');
}

function requestIn(text: string | undefined): SyncRequest | undefined {
  const match = /^([\w-]+)(?:, after ([\w-]+))?(?:, again (\d+))?$/.exec(text ?? '');
  if (!match?.[1]) return undefined;
  return { versionId: match[1], after: match[2], again: match[3] === undefined ? undefined : Number(match[3]) };
}

async function present<T extends KubernetesObject>(
  cluster: Cluster,
  name: ObjectName,
  dependent: KubernetesDependent,
): Promise<T> {
  const found = await cluster.read<T>(name);
  if (found) return found;
  throw failure(
    Cause.NotSynced,
    `There is no ${called(name)} in ${cluster.name}, so nothing syncs the Secret ${dependent.namespace}/${dependent.secret}. It was left as it is. Create it, or correct the catalog.`,
  );
}

/** The operator skips a sync that is asked for when it was told to sync once (its API, `refreshPolicy` and `refreshInterval`). */
function syncsAgain(
  { refreshPolicy, refreshInterval }: ExternalSecretSpec,
  name: ObjectName,
  dependent: KubernetesDependent,
): void {
  const periodic = refreshPolicy === undefined || refreshPolicy === 'Periodic';
  const once = refreshPolicy === 'CreatedOnce' ? 'refreshPolicy: CreatedOnce' : undefined;
  const never =
    periodic && /^0[a-z0]*$/.test(refreshInterval ?? '') ? `refreshInterval: ${refreshInterval}` : undefined;
  const why = once ?? never;
  if (why === undefined) return;
  throw failure(
    Cause.NotSynced,
    `${called(name)} says ${why}, so External Secrets Operator never syncs ${dependent.namespace}/${dependent.secret} a second time. It was left as it is. Set refreshPolicy: OnChange, or a refreshInterval above zero.`,
  );
}
