import { ApplicationFailure } from '@temporalio/common';
import type { KubernetesDependent } from '../../../rotation/dependents';
import { Cause } from '../../../rotation/errors';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import { calledInRoles, SECRETS, WORKLOADS } from './objects';
import type { ObjectName, SecretObject } from './objects';

/** One thing that may be done with one object. */
export interface Right {
  /** As in a Role. */
  verb: 'get' | 'list' | 'watch' | 'patch' | 'create';
  object: ObjectName;
}

/** What the rights depend on besides the catalog. */
export interface Found {
  /** With `push`, a Secret that is not there has to be created. */
  secretExists: boolean;
  /** What a ClusterExternalSecret keeps in the namespace; absent when it is not known. */
  externalSecret?: ObjectName;
}

/** The rights that a delivery to a dependent uses, there and back. */
export function rightsNeeded(dependent: KubernetesDependent, { secretExists, externalSecret }: Found): Right[] {
  const { namespace, sync, restart, waitFor } = dependent;
  const secret = { resource: SECRETS, namespace, name: dependent.secret };
  const rights =
    sync === 'push'
      ? to(secretExists ? ['get', 'patch'] : ['get', 'patch', 'create'], secret)
      : [...to(['get', 'list', 'watch'], secret), ...to(['get', 'patch'], syncSourceOf(dependent))];
  // A rollback sees there that the operator has synced.
  if (sync === 'cluster-external-secret' && externalSecret) rights.push(...to(['get'], externalSecret));
  if (restart === 'none') return rights;
  for (const { kind, name } of dependent.workloads) {
    const workload = { resource: WORKLOADS[kind], namespace, name };
    rights.push(...to(restart === 'rollout' ? ['get', 'patch'] : ['get'], workload));
    if (waitFor === 'available') rights.push(...to(['list', 'watch'], workload));
  }
  return rights;
}

/** Rights do not depend on the version. */
function syncSourceOf({ sync, namespace, externalSecret = '' }: KubernetesDependent): ObjectName {
  const resource = { group: 'external-secrets.io', version: 'v1' };
  return sync === 'cluster-external-secret'
    ? {
        resource: { ...resource, plural: 'clusterexternalsecrets', kind: 'ClusterExternalSecret' },
        name: externalSecret,
      }
    : { resource: { ...resource, plural: 'externalsecrets', kind: 'ExternalSecret' }, namespace, name: externalSecret };
}

function to(verbs: Right['verb'][], object: ObjectName): Right[] {
  return verbs.map((verb) => ({ verb, object }));
}

/** Those that are missing, in words: `patch deployments dev/api`. */
export async function missingRights(cluster: Pick<Cluster, 'mayI'>, rights: Right[]): Promise<string[]> {
  const answers = await Promise.all(rights.map(({ verb, object }) => cluster.mayI(verb, object)));
  const missing = new Map<string, string[]>();
  rights.forEach(({ verb, object }, index) => {
    if (answers[index]) return;
    const name = calledInRoles(object);
    missing.set(name, [...(missing.get(name) ?? []), verb]);
  });
  return [...missing].map(([name, verbs]) => `${verbs.join(', ')} ${name}`);
}

/**
 * Sees that the worker may do all that a delivery does, there and back: one that may sync a version and not restart for it could not undo
 * the sync either.
 *
 * @param externalSecret as in {@link Found}.
 * @throws PermissionDenied with every right that is missing.
 */
export async function seePermitted(
  cluster: Cluster,
  dependent: KubernetesDependent,
  externalSecret: ObjectName | undefined,
): Promise<void> {
  const { sync, namespace, secret } = dependent;
  const secretExists =
    sync !== 'push' ||
    (await cluster.read<SecretObject>({ resource: SECRETS, namespace, name: secret }, 'metadata')) !== undefined;
  const rights = rightsNeeded(dependent, { secretExists, externalSecret });
  const missing = await missingRights(cluster, rights).catch((error: unknown) => {
    // Who may not ask will find out.
    if (error instanceof ApplicationFailure && error.type === Cause.PermissionDenied) return [];
    throw error;
  });
  if (missing.length === 0) return;
  throw failure(
    Cause.PermissionDenied,
    `The worker may not ${missing.join('; ')} in ${cluster.name}. Nothing was changed. Grant it with a Role as in deploy/kubernetes/access.yaml.`,
  );
}
