import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readKubeconfig } from '../lab/kubernetes/access-files';
import { applyManifests, callApi } from '../lab/kubernetes/api';
import type { ApiAccess } from '../lab/kubernetes/api';
import { asText } from '../lab/kubernetes/pods/manifests';
import { projectFile } from '../lab/project';
import { BUILD_MS, describeInCluster, openCluster } from '../testbed/cluster';
import type { Cluster } from '../testbed/cluster';
import { until } from '../testbed/until';

interface DeploymentObject {
  spec: { replicas: number };
  status?: { availableReplicas?: number };
}

describeInCluster('the manifests of deploy/kubernetes', () => {
  const suffix = randomBytes(4).toString('hex');
  const namespaces = { shop: `shop-${suffix}`, keyturn: `keyturn-${suffix}` };
  let cluster: Cluster;
  let access: ApiAccess;
  beforeAll(async () => {
    cluster = await openCluster();
    access = await readKubeconfig(cluster.kubeconfig);
    const made = Object.values(namespaces).map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    await applyManifests(access, asText(made));
  }, BUILD_MS);
  afterAll(() => cluster?.stop());

  const apply = (text: string) =>
    applyManifests(
      access,
      text.replaceAll(/namespace: (shop|keyturn)$/gm, (_match, name: string) => `namespace: ${name}-${suffix}`),
    );

  test.each([
    'access.yaml',
    'cluster-external-secret-access.yaml',
    'external-secret.yaml',
    'worker.yaml',
    'applications/volume.yaml',
    'applications/environment.yaml',
    'applications/init-container.yaml',
  ])('%s is accepted, every field of it known', async (file) => {
    await apply(await readFile(projectFile('deploy', 'kubernetes', ...file.split('/')), 'utf8'));
  });

  test('a field that the API does not know is refused', async () => {
    const text = await readFile(projectFile('deploy', 'kubernetes', 'applications', 'volume.yaml'), 'utf8');
    await expect(apply(text.replace('readinessProbe:', 'readynessProbe:'))).rejects.toThrow('readynessProbe');
  });

  test.each([
    ['keyturn', 'keyturn-worker'],
    ['shop', 'orders-api'],
    ['shop', 'orders-worker'],
    ['shop', 'orders-reports'],
  ] as const)('the pods of %s/%s are admitted', async (namespace, name) => {
    const path = `/apis/apps/v1/namespaces/${namespaces[namespace]}/deployments/${name}`;
    await until(`${name} is available`, async () => {
      const found = await callApi<DeploymentObject>(access, 'GET', path);
      return found?.status?.availableReplicas === found?.spec.replicas;
    });
  });
});
