import { restartAnnotation } from '../../src/activities/delivery/kubernetes/restart-mark';
import type { ExternalSecrets } from '../lab/kubernetes/external-secrets';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { openCluster } from './cluster';
import { openTestbed } from './testbed';
import type { Testbed } from './testbed';
import { until } from './until';

/** A namespace of a cluster whose applications use the secrets of a testbed, whose environment has the same name. */
export interface ClusterBed {
  bed: Testbed;
  cluster: Kubernetes;
  operator: ExternalSecrets;
  /** The namespace. */
  namespace: string;
  /** For `dependents` in the catalog: the Kubernetes Secret and the Deployment that {@link deploy} makes. */
  dependentOn(secret: string, more?: object): Record<string, unknown>;
  /** Has a secret of Secrets Manager synced, and Deployments use it; returns when all of that has come to rest. */
  deploy(secret: string, use?: Use): Promise<void>;
  apply(...objects: object[]): Promise<void>;
  /** The path of an object in the namespace. */
  path(resource: NamespacedResource, name?: string): string;
  /** What the Kubernetes Secret of a secret holds; `undefined` where there is none. */
  held(secret: string): Promise<string | undefined>;
  /** What Secrets Manager has as AWSCURRENT: the password or another field, or the whole text of a secret that is no JSON. */
  current(secret: string, field?: string): Promise<string>;
  /** How often a Deployment was given another pod template since its creation: for each there is a ReplicaSet. */
  restarts(deployment: string): Promise<number>;
  /** The version with which a Deployment was last restarted for a secret. */
  restartedFor(deployment: string, secret: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** How a secret is used in the cluster. */
export interface Use {
  /** One of the secret's name when absent. */
  deployments?: string[];
  /** Merged into the Deployments' `spec`. */
  spec?: object;
  /** Annotations of their pods. */
  annotations?: Record<string, string>;
  /** The field of a JSON secret that is synced; `password` when absent. */
  field?: string;
  /** Merged into the ExternalSecret's `spec`. */
  externalSecret?: object;
}

const RESOURCES = {
  secrets: '/api/v1',
  events: '/api/v1',
  pods: '/api/v1',
  deployments: '/apis/apps/v1',
  replicasets: '/apis/apps/v1',
  externalsecrets: '/apis/external-secrets.io/v1',
  secretstores: '/apis/external-secrets.io/v1',
  rolebindings: '/apis/rbac.authorization.k8s.io/v1',
  roles: '/apis/rbac.authorization.k8s.io/v1',
} as const;
type NamespacedResource = keyof typeof RESOURCES;

/**
 * Starts a cluster with External Secrets Operator, which reads from the Secrets Manager of AWS_ENDPOINT_URL, and a testbed whose workers
 * deliver to it as its administrator.
 *
 * @param policy merged into the environment's in the catalog.
 */
export async function openClusterBed(policy: Record<string, unknown> = {}): Promise<ClusterBed> {
  const { kubernetes: cluster, operator, stop } = await openCluster();
  let bed: Testbed | undefined;
  const close = async () => {
    await bed?.close();
    await stop();
  };
  try {
    bed = await openTestbed(policy);
    Object.assign(bed.env, { KUBECONFIG: cluster.kubeconfig });
    const stage = clusterBed({ bed, cluster, operator }, close);
    await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${stage.namespace}}}`);
    await stage.apply({
      apiVersion: 'external-secrets.io/v1',
      kind: 'SecretStore',
      metadata: { name: 'aws' },
      spec: { provider: { aws: { service: 'SecretsManager', region: bed.env['AWS_REGION'] } } },
    });
    return stage;
  } catch (error) {
    await close();
    throw error;
  }
}

function clusterBed(
  { bed, cluster, operator }: Pick<ClusterBed, 'bed' | 'cluster' | 'operator'>,
  close: () => Promise<void>,
): ClusterBed {
  const namespace = bed.environment;
  const path: ClusterBed['path'] = (resource, name) =>
    [RESOURCES[resource], 'namespaces', namespace, resource, ...(name === undefined ? [] : [name])].join('/');
  const isJson = async (secret: string) => (await bed.secrets.value(secret)).startsWith('{');

  async function apply(...objects: object[]): Promise<void> {
    const inNamespace = (object: object) => {
      const { metadata, ...rest } = object as { metadata: object };
      return JSON.stringify({ ...rest, metadata: { namespace, ...metadata } });
    };
    await cluster.apply(objects.map(inNamespace).join('\n---\n'));
  }

  const held: ClusterBed['held'] = async (secret) => {
    const found = await cluster.request<{ data?: Record<string, string> }>('GET', path('secrets', secret));
    const value = found?.data?.['password'];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
  };

  const current: ClusterBed['current'] = async (secret, field = 'password') => {
    const text = await bed.secrets.value(secret);
    return text.startsWith('{') ? ((JSON.parse(text) as Record<string, string>)[field] ?? '') : text;
  };

  return {
    bed,
    cluster,
    operator,
    namespace,
    path,
    apply,
    held,
    current,
    close,

    dependentOn: (secret, more) => ({
      kubernetes: {
        externalSecret: secret,
        keys: { password: 'password' },
        workloads: [{ deployment: secret }],
        syncTimeout: '60 seconds',
        timeout: '60 seconds',
        ...more,
      },
    }),

    async deploy(secret, { deployments = [secret], spec, annotations, field, externalSecret } = {}) {
      const remoteRef = {
        key: bed.secrets.idOf(secret),
        ...((await isJson(secret)) && { property: field ?? 'password' }),
      };
      await apply(
        {
          apiVersion: 'external-secrets.io/v1',
          kind: 'ExternalSecret',
          metadata: { name: secret },
          spec: {
            refreshInterval: '1h',
            secretStoreRef: { kind: 'SecretStore', name: 'aws' },
            target: { name: secret },
            data: [{ secretKey: 'password', remoteRef }],
            ...externalSecret,
          },
        },
        ...deployments.map((name) => deploymentOf(name, secret, spec, annotations)),
      );
      await until(`the first sync of ${secret}`, async () => (await held(secret)) === (await current(secret, field)));
      for (const name of deployments) {
        await until(`${name} is available`, async () => {
          const found = await cluster.request<DeploymentObject>('GET', path('deployments', name));
          return found?.status?.availableReplicas === found?.spec.replicas;
        });
      }
    },

    async restarts(deployment) {
      const list = `${path('replicasets')}?labelSelector=app%3D${deployment}`;
      return ((await cluster.request<{ items: object[] }>('GET', list))?.items.length ?? 0) - 1;
    },

    async restartedFor(deployment, secret) {
      const found = await cluster.request<DeploymentObject>('GET', path('deployments', deployment));
      return found?.spec.template.metadata.annotations?.[restartAnnotation(secret, bed.secrets.idOf(secret))];
    },
  };
}

interface DeploymentObject {
  spec: { replicas: number; template: { metadata: { annotations?: Record<string, string> } } };
  status?: { availableReplicas?: number };
}

/** It reads the secret from its environment, when it starts. */
function deploymentOf(name: string, secret: string, spec: object = {}, annotations: object = {}): object {
  const env = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: secret, key: 'password' } } }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name }, annotations },
        spec: { containers: [{ name: 'app', image: 'registry.example.com/app:1', env }] },
      },
      ...spec,
    },
  };
}
