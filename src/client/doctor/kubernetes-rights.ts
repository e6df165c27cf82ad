import type { Cluster } from '../../activities/delivery/kubernetes/cluster';
import { calledInRoles, SECRETS, WORKLOADS } from '../../activities/delivery/kubernetes/objects';
import type { ObjectName } from '../../activities/delivery/kubernetes/objects';
import { failure } from '../../activities/failures';
import type { KubernetesDependent } from '../../rotation/dependents';
import { Cause } from '../../rotation/errors';

/** One thing that may be done with one object. */
export interface Right {
  /** As in a Role. */
  verb: 'get' | 'list' | 'watch' | 'patch' | 'create';
  object: ObjectName;
}

/** Whether these credentials have a right; asked with a SelfSubjectAccessReview, which everybody may make. */
export type MayI = (right: Right) => Promise<boolean>;

/**
 * The rights that a delivery to a dependent uses.
 *
 * @param secretExists with `push`, a Secret that is not there has to be created.
 */
export function rightsNeeded(dependent: KubernetesDependent, secretExists: boolean): Right[] {
  const { namespace, sync, restart, waitFor } = dependent;
  const secret = { resource: SECRETS, namespace, name: dependent.secret };
  const rights =
    sync === 'push'
      ? to(secretExists ? ['get', 'patch'] : ['get', 'patch', 'create'], secret)
      : [...to(['get', 'list', 'watch'], secret), ...to(['get', 'patch'], syncSourceOf(dependent))];
  if (restart === 'none') return rights;
  for (const { kind, name } of dependent.workloads) {
    const workload = { resource: WORKLOADS[kind], namespace, name };
    if (restart === 'rollout') rights.push(...to(['get', 'patch'], workload));
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
export async function missingRights(mayI: MayI, rights: Right[]): Promise<string[]> {
  const answers = await Promise.all(rights.map(mayI));
  const missing = new Map<string, string[]>();
  rights.forEach(({ verb, object }, index) => {
    if (answers[index]) return;
    const name = calledInRoles(object);
    missing.set(name, [...(missing.get(name) ?? []), verb]);
  });
  return [...missing].map(([name, verbs]) => `${verbs.join(', ')} ${name}`);
}

/**
 * Asks a cluster about the rights of these credentials.
 *
 * @param context as in the catalog.
 */
export async function accessReviews({ name: cluster }: Cluster, context: string | undefined): Promise<MayI> {
  const { AuthorizationV1Api, KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  if (context !== undefined) config.setCurrentContext(context);
  const authorization = config.makeApiClient(AuthorizationV1Api);
  return async ({ verb, object: { resource, namespace, name } }) => {
    const { group, plural } = resource;
    const body = { spec: { resourceAttributes: { verb, group, resource: plural, namespace, name } } };
    try {
      const { status } = await authorization.createSelfSubjectAccessReview({ body });
      return status?.allowed ?? false;
    } catch (error) {
      // Its message quotes the answer's headers and body.
      const { code } = error as { code?: unknown };
      throw failure(
        Cause.TargetUnavailable,
        `${cluster} did not say what these credentials may do (${String(code ?? 'no answer')}).`,
      );
    }
  };
}
