import type { KubernetesDependent, Workload } from '../../src/rotation/dependents';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';

/** What the tests of a delivery use of the cluster, in its namespace `shop`. */
export const NAMESPACE = 'shop';

export const DEPENDENT: KubernetesDependent = {
  kind: 'kubernetes',
  name: 'shop/orders-db',
  namespace: NAMESPACE,
  sync: 'external-secret',
  externalSecret: 'orders-db',
  secret: 'orders-db',
  keys: [{ key: 'password', field: 'password' }],
  expect: 'version',
  workloads: [],
  restart: 'rollout',
  waitFor: 'available',
  syncTimeoutMs: 30_000,
  timeoutMs: 30_000,
};

export interface PodTemplate {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** A workload's manifest, as JSON, which is YAML. */
export function manifestOf(
  { kind, name }: Workload,
  spec: object = {},
  { labels, annotations }: PodTemplate = {},
): string {
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace: NAMESPACE },
    spec: {
      ...(kind !== 'DaemonSet' && { replicas: 2 }),
      ...(kind === 'StatefulSet' && { serviceName: name }),
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, ...labels }, annotations },
        spec: { containers: [{ name: 'app', image: 'registry.example.com/app:1' }] },
      },
      ...spec,
    },
  });
}

export function pathOf({ kind, name }: Workload): string {
  return `/apis/apps/v1/namespaces/${NAMESPACE}/${kind.toLowerCase()}s/${name}`;
}

/** How many ReplicaSets a Deployment has had: one for its creation, and one for each restart. */
export async function replicaSetsOf(cluster: Kubernetes, deployment: string): Promise<number> {
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/replicasets?labelSelector=app%3D${deployment}`;
  return (await cluster.request<{ items: object[] }>('GET', path))?.items.length ?? 0;
}

/** Changes one thing of a Deployment's pod template, as another tool would. */
export async function changeTemplate(cluster: Kubernetes, deployment: Workload, name = 'other-tool'): Promise<void> {
  const annotations = { [`${name}.example.com/at`]: new Date().toISOString() };
  await cluster.request('PATCH', pathOf(deployment), { spec: { template: { metadata: { annotations } } } });
}
