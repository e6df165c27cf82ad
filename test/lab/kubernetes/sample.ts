import { parseDocument } from 'yaml';
import type { Lab } from '../lab';
import { readKubeconfig } from './access-files';
import { applyManifests, type ApiAccess } from './api';
import { startFakeKubelet, type FakeKubelet } from './pods/fake-kubelet';
import { applicationManifest, asText, externalSecretManifests, type ApplicationNames } from './pods/manifests';

/** The namespace is called as the sample catalog's environment. */
const NAMESPACE = 'dev';
/** The Secret and the ExternalSecret of dev/database/orders. */
const ORDERS_SECRET = 'orders-db';
const SESSION_SECRET = 'session';

const ordersDependent = { externalSecret: ORDERS_SECRET, keys: { username: 'username', password: 'password' } };

/** What the sample catalog's secrets are used by in the cluster of a lab. */
export const DEPENDENTS = {
  'database/orders': [
    {
      kubernetes: {
        name: 'orders-worker',
        ...ordersDependent,
        workloads: [{ deployment: 'orders-worker' }],
        restart: 'rollout',
      },
    },
    { kubernetes: { name: 'orders-api', ...ordersDependent, restart: 'none' } },
  ],
  'session-secret': [
    {
      kubernetes: {
        externalSecret: SESSION_SECRET,
        keys: { value: 'value' },
        workloads: [{ deployment: 'web' }],
        restart: 'rollout',
      },
    },
  ],
} as const;

/** The sample catalog with {@link DEPENDENTS}; its comments stay. */
export function withKubernetes(catalog: string): string {
  const document = parseDocument(catalog);
  for (const [secret, dependents] of Object.entries(DEPENDENTS)) {
    document.setIn(
      ['environments', NAMESPACE, 'secrets', secret, 'dependents'],
      document.createNode(dependents, { aliasDuplicateObjects: false }),
    );
  }
  return document.toString({ lineWidth: 0 });
}

/** The sample's applications at work. */
export interface SampleCluster {
  access: ApiAccess;
  kubelet: FakeKubelet;
  /** What {@link applicationManifest} needs to know for one more application of dev/database/orders. */
  orders: ApplicationNames;
  stop(): Promise<void>;
}

/**
 * Makes what {@link DEPENDENTS} names in a lab's cluster: the namespace, the SecretStore, the ExternalSecrets and the Deployments. The
 * applications of dev/database/orders run as processes: `orders-worker` is restarted, `orders-api` reads its mounted files again.
 */
export async function startSampleCluster({ cluster, aws, postgres }: Lab): Promise<SampleCluster> {
  const access = await readKubeconfig(cluster?.kubernetes.kubeconfig ?? '');
  const names = { namespace: NAMESPACE, secret: ORDERS_SECRET };
  const orders = { ...names, database: { host: postgres.host, port: postgres.port, dbname: 'orders' } };
  await applyManifests(
    access,
    asText([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
      ...(await externalSecretManifests({ ...names, secretId: 'dev/database/orders', region: aws.region })),
      sessionExternalSecret(),
      await applicationManifest('environment', orders),
      await applicationManifest('volume', orders),
      web(),
    ]),
  );
  const kubelet = await startFakeKubelet(access, NAMESPACE);
  return { access, kubelet, orders, stop: () => kubelet.stop() };
}

function sessionExternalSecret(): object {
  const remoteRef = { key: 'dev/session-secret', property: 'value' };
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: SESSION_SECRET, namespace: NAMESPACE },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: 'SecretStore', name: 'aws' },
      target: { name: SESSION_SECRET },
      data: [{ secretKey: 'value', remoteRef }],
    },
  };
}

/** Its pods are kwok's: ready at once, and nothing runs in them. */
function web(): object {
  const labels = { 'app.kubernetes.io/name': 'web' };
  const env = [{ name: 'SESSION_SECRET', valueFrom: { secretKeyRef: { name: SESSION_SECRET, key: 'value' } } }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: NAMESPACE },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'web', image: 'registry.example.com/web:1.0.0', env }] },
      },
    },
  };
}
