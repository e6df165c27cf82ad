import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { callApi } from '../lab/kubernetes/api';
import type { ApiAccess } from '../lab/kubernetes/api';
import { projectFile } from '../lab/project';
import { createCli } from '../testbed/cli-process';
import { changeTemplate, NAMESPACE } from '../testbed/kubernetes';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { createSubject } from '../testbed/subjects';
import type { Subject } from '../testbed/subjects';
import { until } from '../testbed/until';

/** Where Keyturn pushes; the namespace of the manifests has the operator. */
const PUSHED = 'depot';
const KEYS = { username: 'username', password: 'password' };
const SECRET = 'orders';

interface Kubeconfig {
  clusters: [{ cluster: { 'certificate-authority-data': string } }];
  users: [{ user: { token: string } }];
}

const manifest = (name: string) => readFile(projectFile('deploy', 'kubernetes', `${name}.yaml`), 'utf8');

const deploymentsOf = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/deployments`;
const secretsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;

describeInCluster('the Role of deploy/kubernetes/access.yaml', () => {
  let stage: ClusterBed;
  let subject: Subject;
  /** As the worker's ServiceAccount. */
  let worker: ApiAccess;
  beforeAll(async () => {
    stage = await openClusterBed();
    const { bed, cluster } = stage;
    for (const name of [NAMESPACE, PUSHED, 'keyturn']) {
      await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`);
    }
    subject = await createSubject(bed, 'single-user', SECRET, { dependents: DEPENDENTS });
    await apply('access');
    // As the manifest says it.
    await apply('access', inTheOther, ([, rules = '', rest = '']) => `${rules}[get, list, watch, patch]${rest}`);
    await apply('external-secret', (text) =>
      text
        .replaceAll('production/database/orders', bed.secrets.idOf(SECRET))
        .replaceAll('eu-central-1', regionOf(bed.env)),
    );
    await cluster.request('POST', secretsOf(PUSHED), { metadata: { name: 'orders-db' } });
    for (const way of ['volume', 'environment', 'init-container']) await apply(`applications/${way}`);
    await apply('applications/environment', inTheOther);
    await until('everything runs', async () => {
      const found = await Promise.all([NAMESPACE, PUSHED].map((namespace) => availableIn(namespace)));
      return found.every(Boolean) && (await heldIn(NAMESPACE)) !== undefined;
    });

    const kubeconfig = await cluster.kubeconfigFor('keyturn-worker', 'keyturn');
    const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
    const ca = Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64').toString();
    worker = { server: cluster.server, ca, token: users[0].user.token };
    Object.assign(bed.env, { KUBECONFIG: kubeconfig });
    await bed.startWorker();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  const dependent = (more: Record<string, unknown>) => ({ kubernetes: { keys: KEYS, ...more } });
  const synced = (more: Record<string, unknown>) =>
    dependent({ namespace: NAMESPACE, externalSecret: 'orders-db', ...more });
  const DEPENDENTS = [
    synced({ name: 'restarted', workloads: [{ deployment: 'orders-reports' }], restart: 'rollout' }),
    synced({ name: 'reloaded', workloads: [{ deployment: 'orders-worker' }], restart: 'reloader' }),
    synced({ name: 're-reading', workloads: [{ deployment: 'orders-api' }], restart: 'none' }),
    dependent({
      name: 'pushed',
      namespace: PUSHED,
      sync: 'push',
      secret: 'orders-db',
      workloads: [{ deployment: 'orders-worker' }],
    }),
  ];

  const regionOf = (env: Record<string, string>) => env['AWS_REGION'] ?? '';
  const inTheOther = (text: string) => text.replaceAll(`namespace: ${NAMESPACE}`, `namespace: ${PUSHED}`);

  /** @param withPatch puts the parts of access.yaml together around the verbs for Secrets. */
  async function apply(
    name: string,
    change: (text: string) => string = (text) => text,
    withPatch?: (parts: RegExpMatchArray) => string,
  ): Promise<void> {
    const text = change(await manifest(name));
    const parts = /^([^]*resources: \[secrets\]\n.*\n\s+verbs: )\[get, list, watch\]([^]*)$/.exec(text);
    if (withPatch && !parts) throw new Error(`${name} does not say what may be done with Secrets`);
    await stage.cluster.apply(withPatch && parts ? withPatch(parts) : text);
  }

  async function availableIn(namespace: string): Promise<boolean> {
    const list = await stage.cluster.request<{
      items: { spec: { replicas: number }; status?: { availableReplicas?: number } }[];
    }>('GET', deploymentsOf(namespace));
    return list?.items.every(({ spec, status }) => status?.availableReplicas === spec.replicas) ?? false;
  }

  async function heldIn(namespace: string): Promise<string | undefined> {
    const path = `${secretsOf(namespace)}/orders-db`;
    return (await stage.cluster.request<{ data?: { password?: string } }>('GET', path))?.data?.password;
  }

  /** What Reloader does. */
  async function reload(): Promise<void> {
    const before = await heldIn(NAMESPACE);
    await until('the Secret has changed', async () => (await heldIn(NAMESPACE)) !== before);
    await changeTemplate(stage.cluster, { kind: 'Deployment', name: 'orders-worker' }, 'reloader');
  }

  test('is enough for a whole rotation: sync, push, restart, the wait for Reloader, and the doctor', async () => {
    const [result] = await Promise.all([stage.bed.rotate(SECRET), reload()]);
    expect(result).toMatchObject({ outcome: 'rotated' });
    const password = Buffer.from(await stage.current(SECRET)).toString('base64');
    expect(await Promise.all([NAMESPACE, PUSHED].map(heldIn))).toEqual([password, password]);
    expect(await subject.opens()).toBe(true);
    const restarted = ['orders-reports', 'orders-worker', 'orders-api'].map(async (name) => [
      name,
      (await stage.cluster.request<{ metadata: { generation: number } }>('GET', `${deploymentsOf(NAMESPACE)}/${name}`))
        ?.metadata.generation,
    ]);
    expect(await Promise.all(restarted)).toEqual([
      ['orders-reports', 2],
      ['orders-worker', 2],
      ['orders-api', 1],
    ]);

    const doctor = await createCli(stage.bed).json<{ checks: { name: string; state: string }[] }>(['doctor']);
    const seen = doctor.result.checks.filter(({ name }) => /^(dependent|rights) /.test(name));
    expect(seen.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(seen).toHaveLength(2 * DEPENDENTS.length);
  });

  const named = (collection: string, name: string) => `${collection}/${name}`;
  const externalSecrets = `/apis/external-secrets.io/v1/namespaces/${NAMESPACE}`;
  const access = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;

  test.each<['GET' | 'POST' | 'PATCH' | 'DELETE', string]>([
    ['GET', named(secretsOf(NAMESPACE), 'another')],
    ['GET', named(secretsOf('keyturn'), 'keyturn-worker')],
    ['GET', secretsOf(NAMESPACE)],
    ['GET', '/api/v1/secrets'],
    ['GET', `/api/v1/namespaces/${NAMESPACE}/pods`],
    ['POST', secretsOf(NAMESPACE)],
    ['POST', `/api/v1/namespaces/${NAMESPACE}/pods/any/exec`],
    ['POST', deploymentsOf(NAMESPACE)],
    ['PATCH', named(secretsOf(NAMESPACE), 'orders-db')],
    ['PATCH', named(deploymentsOf(NAMESPACE), 'another')],
    ['PATCH', named(deploymentsOf(NAMESPACE), 'orders-api')],
    ['PATCH', named(access, 'roles/keyturn-delivery')],
    ['DELETE', secretsOf(NAMESPACE)],
    ['DELETE', named(secretsOf(NAMESPACE), 'orders-db')],
    ['DELETE', named(secretsOf(PUSHED), 'orders-db')],
    ['DELETE', named(deploymentsOf(NAMESPACE), 'orders-worker')],
    ['DELETE', `/api/v1/namespaces/${NAMESPACE}/pods`],
    ['DELETE', named(externalSecrets, 'externalsecrets/orders-db')],
    ['DELETE', named(externalSecrets, 'secretstores/aws')],
    ['DELETE', named(access, 'rolebindings/keyturn-delivery')],
    ['DELETE', `/api/v1/namespaces/${NAMESPACE}`],
  ])('does not allow %s %s', async (method, path) => {
    await expect(
      callApi(worker, method, path, method === 'GET' || method === 'DELETE' ? undefined : {}),
    ).rejects.toThrow(/: 403 .*system:serviceaccount:keyturn:keyturn-worker" cannot/);
  });
});
