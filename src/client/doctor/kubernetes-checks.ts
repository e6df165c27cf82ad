import type { Cluster } from '../../activities/delivery/kubernetes/cluster';
import { findSyncSource } from '../../activities/delivery/kubernetes/external-secret';
import type { ExternalSecretObject, SyncSource } from '../../activities/delivery/kubernetes/external-secret';
import { SECRETS, WORKLOADS } from '../../activities/delivery/kubernetes/objects';
import type { SecretObject } from '../../activities/delivery/kubernetes/objects';
import { missingRights, rightsNeeded } from '../../activities/delivery/kubernetes/rights';
import type { Found } from '../../activities/delivery/kubernetes/rights';
import { restartHindrance, rolloutState } from '../../activities/delivery/kubernetes/rollout-state';
import type { WorkloadObject } from '../../activities/delivery/kubernetes/rollout-state';
import { expectedKeys, whatIsMissing } from '../../activities/delivery/kubernetes/secret-digest';
import { syncTrouble } from '../../activities/delivery/kubernetes/sync-trouble';
import type { SecretStore } from '../../activities/secrets-manager/store';
import type { KubernetesDependent } from '../../rotation/dependents';
import { Cause } from '../../rotation/errors';
import type { Check } from './check';
import { check, failed, ok, skipped, warning } from './check';

export interface KubernetesAccess {
  clusterOf(context: string | undefined): Promise<Cluster>;
  secrets: Pick<SecretStore, 'inspect' | 'readCurrent'>;
}

type Look = Pick<Check, 'state' | 'found'>;

/** Whether a Kubernetes Secret, what syncs it and what uses it are there, in order and ours to change. Nothing is changed. */
export async function checkKubernetesDependent(
  access: KubernetesAccess,
  secretId: string,
  dependent: KubernetesDependent,
): Promise<Check[]> {
  const which = `${dependent.name} of ${secretId}`;
  const names = { dependent: `dependent ${which}`, rights: `rights for ${which}` };
  const todo = `Put it in order first, or correct the catalog: a rotation of ${secretId} would be rolled back.`;
  let cluster: Cluster | undefined;
  const found: Found = { secretExists: true };
  const look = async (): Promise<Check> => {
    cluster = await access.clusterOf(dependent.context);
    const looks: Look[] = [];
    if (dependent.sync !== 'push') {
      const source = await findSyncSource(cluster, dependent);
      found.externalSecret = source.externalSecret;
      looks.push(await lookAtSync(cluster, source));
    }
    const secret = await cluster.read<SecretObject>(nameOfSecret(dependent));
    found.secretExists = secret !== undefined;
    looks.push(await lookAtSecret(access, secretId, dependent, secret));
    for (const workload of dependent.workloads) looks.push(await lookAtWorkload(cluster, dependent, workload));
    return summary(names.dependent, looks, todo);
  };
  const seen = await check(names.dependent, look, {
    [Cause.TargetUnavailable]: `Check KUBECONFIG, and the network between here and the cluster. ${todo}`,
    [Cause.NotSynced]: todo,
  });
  if (!cluster) return [seen, skipped(names.rights, 'needs the cluster')];
  const reached = cluster;
  const rights = await check(names.rights, async () => {
    const missing = await missingRights(reached, rightsNeeded(dependent, found));
    return missing.length === 0
      ? ok(names.rights, `these credentials may do what a delivery needs in ${reached.name}`)
      : failed(
          names.rights,
          `these credentials may not ${missing.join('; ')} in ${reached.name}`,
          'Grant it with a Role as in deploy/kubernetes/access.yaml, or run keyturn doctor with the kubeconfig of the worker.',
        );
  });
  return [seen, rights];
}

function summary(name: string, looks: Look[], todo: string): Check {
  for (const state of ['failed', 'warning'] as const) {
    const those = looks.filter((look) => look.state === state).map(({ found }) => found);
    const [first, ...rest] = those;
    if (first === undefined) continue;
    const found = [first, ...rest].join('; ');
    return state === 'failed' ? failed(name, found, todo) : warning(name, found, todo);
  }
  return ok(name, looks.map(({ found }) => found).join(', '));
}

async function lookAtSync(cluster: Cluster, source: SyncSource): Promise<Look> {
  const externalSecret = await cluster.read<ExternalSecretObject>(source.externalSecret);
  const isReady = externalSecret?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  if (isReady) return { state: 'ok', found: `the ExternalSecret ${source.externalSecret.name} is synced` };
  return { state: 'failed', found: (await syncTrouble(cluster, source)).replace(/\.$/, '') };
}

const nameOfSecret = ({ namespace, secret }: KubernetesDependent) => ({ resource: SECRETS, namespace, name: secret });

/** Compares with AWSCURRENT; with a template only the keys' presence can be told. */
async function lookAtSecret(
  { secrets }: KubernetesAccess,
  secretId: string,
  dependent: KubernetesDependent,
  secret: SecretObject | undefined,
): Promise<Look> {
  const which = `the Secret ${dependent.namespace}/${dependent.secret}`;
  if (!secret) {
    return dependent.sync === 'push'
      ? { state: 'ok', found: `${which} does not exist yet; the first rotation creates it` }
      : { state: 'failed', found: `there is no Secret ${dependent.namespace}/${dependent.secret}` };
  }
  const absent = dependent.keys.filter(({ key }) => secret.data?.[key] === undefined).map(({ key }) => key);
  if (absent.length > 0) {
    const found = `${which} has no key ${absent.join(', ')}`;
    return { state: dependent.sync === 'push' ? 'ok' : 'failed', found };
  }
  if (dependent.expect === 'any-change') return { state: 'ok', found: `${which} has its keys` };
  const { exists } = await secrets.inspect(secretId);
  if (!exists) return { state: 'ok', found: `${which} has its keys; ${secretId} does not exist yet` };
  const { versionId, text } = await secrets.readCurrent(secretId);
  const missing = whatIsMissing(secret, expectedKeys(dependent, versionId, text));
  return missing === undefined
    ? { state: 'ok', found: `${which} holds AWSCURRENT` }
    : { state: 'warning', found: `${which} does not hold AWSCURRENT: ${missing}` };
}

async function lookAtWorkload(
  cluster: Cluster,
  { namespace, restart }: KubernetesDependent,
  { kind, name }: KubernetesDependent['workloads'][number],
): Promise<Look> {
  const which = `the ${kind} ${namespace}/${name}`;
  const workload = await cluster.read<WorkloadObject>({ resource: WORKLOADS[kind], namespace, name });
  if (!workload) return { state: 'failed', found: `there is no ${kind} ${namespace}/${name}` };
  const hindrance = restart === 'none' ? undefined : restartHindrance(kind, workload);
  if (hindrance !== undefined) return { state: 'failed', found: `${which} cannot be restarted: ${hindrance}` };
  const rollout = rolloutState(kind, workload);
  if (rollout.is === 'done') return { state: 'ok', found: `${which} is available` };
  return {
    state: 'warning',
    found: `${which} is not available: ${rollout.is === 'waiting' ? rollout.seen : rollout.why}`,
  };
}
