import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import type { Testbed } from './testbed';
import { until } from './until';

interface Held {
  data?: Record<string, string>;
}

interface ReplicaSets {
  items: { spec: { replicas: number } }[];
}

const manifests = (objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');

/** The namespace of a testbed in a cluster, named after its environment: secrets, what syncs them, and Deployments that use them. */
export async function openNamespace(bed: Testbed, cluster: Kubernetes) {
  const namespace = bed.environment;
  await cluster.apply(
    manifests([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      {
        apiVersion: 'external-secrets.io/v1',
        kind: 'SecretStore',
        metadata: { name: 'aws', namespace },
        spec: { provider: { aws: { service: 'SecretsManager', region: process.env['AWS_REGION'] } } },
      },
    ]),
  );

  const passwordNow = async (secret: string) =>
    (JSON.parse(await bed.secrets.value(secret)) as { password: string }).password;

  async function held(name: string): Promise<string | undefined> {
    const secret = await cluster.request<Held>('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`);
    const value = secret?.data?.['password'];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
  }

  async function replicaSets(name: string) {
    const path = `/apis/apps/v1/namespaces/${namespace}/replicasets?labelSelector=app%3D${name}`;
    return (await cluster.request<ReplicaSets>('GET', path))?.items ?? [];
  }

  return {
    passwordNow,
    /** What the Kubernetes Secret of that name has under `password`. */
    held,
    /** Those of a Deployment: one for its creation, and one for each restart. */
    replicaSets,
    deploymentPath: (name: string) => `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`,
    /**
     * A database secret of two logins, synced into a Secret that a Deployment uses; all three have the same name.
     *
     * @param spec merged into the Deployment's.
     */
    async deployed(name: string, spec: object = {}): Promise<void> {
      const kubernetes = {
        namespace,
        externalSecret: name,
        keys: { password: 'password' },
        workloads: [{ deployment: name }],
        syncTimeout: '30 seconds',
        timeout: '60 seconds',
      };
      await bed.databases.alternatingUsers(name, {
        declaration: { stepTimeout: '60 seconds', dependents: [{ kubernetes }] },
      });
      const container = { name: 'app', image: 'registry.example.com/app:1' };
      await cluster.apply(
        manifests([
          {
            apiVersion: 'external-secrets.io/v1',
            kind: 'ExternalSecret',
            metadata: { name, namespace },
            spec: {
              refreshInterval: '1h',
              secretStoreRef: { kind: 'SecretStore', name: 'aws' },
              target: { name },
              data: [{ secretKey: 'password', remoteRef: { key: bed.secrets.idOf(name), property: 'password' } }],
            },
          },
          {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            metadata: { name, namespace },
            spec: {
              replicas: 2,
              selector: { matchLabels: { app: name } },
              template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
              ...spec,
            },
          },
        ]),
      );
      await until('the first sync', async () => (await held(name)) === (await passwordNow(name)));
      await until('its pods', async () => (await replicaSets(name)).length === 1);
    },
  };
}

export type TestNamespace = Awaited<ReturnType<typeof openNamespace>>;
