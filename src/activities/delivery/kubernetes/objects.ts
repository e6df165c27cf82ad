import type { WorkloadKind } from '../../../rotation/dependents';

/** A kind of object as the API server's paths name it. */
export interface Resource {
  /** Empty for the core group. */
  group: string;
  version: string;
  /** Such as `deployments`. */
  plural: string;
  /** Such as `Deployment`; what messages say. */
  kind: string;
}

/** One object. Cluster-wide ones have no namespace. */
export interface ObjectName {
  resource: Resource;
  namespace?: string;
  name: string;
}

/** What every object has (Kubernetes API reference, 'ObjectMeta'). */
export interface KubernetesObject {
  metadata: {
    name: string;
    resourceVersion?: string;
    generation?: number;
    annotations?: Record<string, string>;
    managedFields?: ManagedFields[];
  };
}

/** Which fields a writer set, and when it last did, by the API server's clock (Kubernetes manual, 'Server-Side Apply'). */
export interface ManagedFields {
  manager?: string;
  /** ISO 8601, whole seconds. */
  time?: string;
  subresource?: string;
  fieldsV1?: FieldSet;
}

interface FieldSet {
  [field: `f:${string}`]: FieldSet;
}

export interface SecretObject extends KubernetesObject {
  /** Base64. */
  data?: Record<string, string>;
}

/** Written into every field that Keyturn sets. */
export const FIELD_MANAGER = 'keyturn';

export const SECRETS: Resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret' };
export const EVENTS: Resource = { group: '', version: 'v1', plural: 'events', kind: 'Event' };

export const WORKLOADS: Record<WorkloadKind, Resource> = {
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets', kind: 'StatefulSet' },
  DaemonSet: { group: 'apps', version: 'v1', plural: 'daemonsets', kind: 'DaemonSet' },
  Rollout: { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts', kind: 'Rollout' },
};

/** The path of a collection, or of one object in it. */
export function pathOf({ resource, namespace }: Omit<ObjectName, 'name'>, name?: string): string {
  const { group, version, plural } = resource;
  return [
    group === '' ? '/api' : `/apis/${group}`,
    version,
    ...(namespace === undefined ? [] : ['namespaces', encodeURIComponent(namespace)]),
    plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
  ].join('/');
}

/** How an object is called in messages: `Deployment prod/web`. */
export function called({ resource, namespace, name }: ObjectName): string {
  return `${resource.kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

/** The same in the words of a Role: `deployments prod/web`. */
export function calledInRoles(object: ObjectName): string {
  return called({ ...object, resource: { ...object.resource, kind: object.resource.plural } });
}

/**
 * When a field was last written, in milliseconds since the epoch by the API server's clock.
 *
 * @param path such as `['spec', 'template']`.
 * @param by whose writes count.
 */
export function writtenAt(
  object: KubernetesObject,
  path: string[],
  by: (manager: string) => boolean = () => true,
): number | undefined {
  const times = (object.metadata.managedFields ?? [])
    .filter(({ manager = '', subresource, fieldsV1 }) => !subresource && by(manager) && holds(fieldsV1, path))
    .map(({ time }) => Date.parse(time ?? ''))
    .filter((time) => !Number.isNaN(time));
  return times.length === 0 ? undefined : Math.max(...times);
}

/** When a Secret's data was last written; later when its writer has changed something else of it since. */
export const changedTime = (secret: SecretObject) => writtenAt(secret, ['data']);

function holds(fields: FieldSet | undefined, path: string[]): boolean {
  let inner = fields;
  for (const name of path) inner = inner?.[`f:${name}`];
  return inner !== undefined;
}
