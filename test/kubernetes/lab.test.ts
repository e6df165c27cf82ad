import { CreateSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';
import { secretsManagerOf } from '../lab/aws';
import { callApi } from '../lab/kubernetes/api';
import { startExternalSecrets, type ExternalSecrets } from '../lab/kubernetes/external-secrets';
import { startKubernetes, type Kubernetes } from '../lab/kubernetes/kubernetes';
import { startProcess } from '../lab/processes';
import { projectFile } from '../lab/project';
import { describeInCluster } from '../testbed/cluster';
import { until } from '../testbed/until';

/** With what has to be built on a machine that has no cluster yet. */
const BUILT_AND_STARTED_MS = 30 * 60_000;
const report = (line: string): void => void process.stderr.write(`${line}\n`);

const aws = {
  endpoint: process.env['AWS_ENDPOINT_URL'] ?? '',
  region: process.env['AWS_REGION'] ?? '',
  credentials: {
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
  },
};

interface Deployment {
  status: { availableReplicas?: number; conditions?: { type: string; status: string; reason: string }[] };
}
interface Kubeconfig {
  clusters: [{ cluster: { 'certificate-authority-data': string } }];
  users: [{ user: { token: string } }];
}
interface Secret {
  data?: Record<string, string>;
}

/** The processes of clusters whose files are in the folder. */
async function clusterProcesses(folder: string): Promise<string[]> {
  const ps = startProcess('ps', ['-A', '-ww', '-o', 'stat=,args=']);
  await ps.exited;
  return ps
    .output()
    .split('\n')
    .filter((line) => line.includes(folder) && !line.startsWith('Z') && line.includes('control-plane'));
}

describeInCluster('the cluster of the tests', () => {
  const systemFolder = process.env['TMPDIR'];
  let folder: string;
  let kubernetes: Kubernetes;
  let externalSecrets: ExternalSecrets;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kubernetes-lab-'));
    process.env['TMPDIR'] = folder;
    kubernetes = await startKubernetes(report);
    externalSecrets = await startExternalSecrets(kubernetes, aws, report);
  }, BUILT_AND_STARTED_MS);

  afterAll(async () => {
    await externalSecrets?.stop();
    await kubernetes?.stop();
    if (systemFolder === undefined) Reflect.deleteProperty(process.env, 'TMPDIR');
    else process.env['TMPDIR'] = systemFolder;
    expect(await clusterProcesses(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });

  const deployment = (name: string, metadata: string, progressDeadlineSeconds = 60) => `
    apiVersion: apps/v1
    kind: Deployment
    metadata: { name: ${name} }
    spec:
      replicas: 2
      progressDeadlineSeconds: ${progressDeadlineSeconds}
      selector: { matchLabels: { app: ${name} } }
      template:
        metadata: ${metadata}
        spec: { containers: [{ name: app, image: 'example.invalid/app:1' }] }
  `;

  async function statusOf(name: string): Promise<Deployment['status']> {
    const path = `/apis/apps/v1/namespaces/default/deployments/${name}`;
    return (await kubernetes.request<Deployment>('GET', path))?.status ?? {};
  }

  const available = async (name: string) => (await statusOf(name)).availableReplicas === 2;

  test('a Deployment becomes available', async () => {
    await kubernetes.apply(deployment('web', '{ labels: { app: web } }'));
    await until('web is available', () => available('web'));
  });

  test('a Deployment becomes available only when its pods are to be ready', async () => {
    const startedAt = Date.now();
    const metadata = "{ labels: { app: slow }, annotations: { keyturn.test/ready-after: '3s' } }";
    await kubernetes.apply(deployment('slow', metadata));
    await until('slow is available', () => available('slow'));
    expect(Date.now() - startedAt).toBeGreaterThan(2_500);
  });

  test('a Deployment whose pods are never to be ready exceeds its progress deadline', async () => {
    await kubernetes.apply(deployment('broken', "{ labels: { app: broken, keyturn.test/never-ready: 'yes' } }", 3));
    const reason = await until('broken fails', async () => {
      const progressing = (await statusOf('broken')).conditions?.find(({ type }) => type === 'Progressing');
      return progressing?.status === 'False' && progressing.reason;
    });
    expect(reason).toBe('ProgressDeadlineExceeded');
  });

  async function valueIn(secret: string, key: string): Promise<string | undefined> {
    const found = await kubernetes.request<Secret>('GET', `/api/v1/namespaces/default/secrets/${secret}`);
    const encoded = found?.data?.[key];
    return encoded && Buffer.from(encoded, 'base64').toString('utf8');
  }

  test('an ExternalSecret holds the value that Secrets Manager has, by the operator alone', async () => {
    const client = secretsManagerOf(aws);
    const SecretId = `kubernetes-lab-${process.pid}-${Date.now()}`;
    await client.send(new CreateSecretCommand({ Name: SecretId, SecretString: '{"password":"first"}' }));
    await kubernetes.apply(`
      apiVersion: external-secrets.io/v1
      kind: SecretStore
      metadata: { name: aws }
      spec: { provider: { aws: { service: SecretsManager, region: ${aws.region} } } }
---
      apiVersion: external-secrets.io/v1
      kind: ExternalSecret
      metadata: { name: database }
      spec:
        refreshInterval: 1h
        secretStoreRef: { name: aws, kind: SecretStore }
        target: { name: database }
        data: [{ secretKey: password, remoteRef: { key: ${SecretId}, property: password } }]
    `);
    await until('it is synced', async () => (await valueIn('database', 'password')) === 'first', {
      withinMs: 15_000,
    });

    const forced = async (what: string) => {
      const path = '/apis/external-secrets.io/v1/namespaces/default/externalsecrets/database';
      await kubernetes.request('PATCH', path, { metadata: { annotations: { 'force-sync': what } } });
    };
    await externalSecrets.stop();
    await client.send(new PutSecretValueCommand({ SecretId, SecretString: '{"password":"second"}' }));
    await forced('while it is stopped');
    await delay(2_000);
    expect(await valueIn('database', 'password')).toBe('first');
    await externalSecrets.start();
    await until('it is synced again', async () => (await valueIn('database', 'password')) === 'second');

    await client.send(new PutSecretValueCommand({ SecretId, SecretString: '{"password":"third"}' }));
    await forced('at once');
    await until('it is synced at once', async () => (await valueIn('database', 'password')) === 'third', {
      withinMs: 10_000,
    });
    client.destroy();
  });

  test('a ServiceAccount may do what its Role says, and nothing else', async () => {
    await kubernetes.apply(`
      apiVersion: v1
      kind: ServiceAccount
      metadata: { name: reader }
---
      apiVersion: rbac.authorization.k8s.io/v1
      kind: Role
      metadata: { name: reader }
      rules: [{ apiGroups: [''], resources: [configmaps], verbs: [get] }]
---
      apiVersion: rbac.authorization.k8s.io/v1
      kind: RoleBinding
      metadata: { name: reader }
      roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
      subjects: [{ kind: ServiceAccount, name: reader }]
    `);
    const kubeconfig = parse(await readFile(await kubernetes.kubeconfigFor('reader', 'default'), 'utf8')) as Kubeconfig;
    const ca = Buffer.from(kubeconfig.clusters[0].cluster['certificate-authority-data'], 'base64').toString('utf8');
    const reader = { server: kubernetes.server, ca, token: kubeconfig.users[0].user.token };
    const path = '/api/v1/namespaces/default';
    expect(await callApi(reader, 'GET', `${path}/configmaps/kube-root-ca.crt`)).toBeDefined();
    await expect(callApi(reader, 'GET', `${path}/secrets/database`)).rejects.toThrow(/403 .*"system:serviceaccount:/);
    await expect(kubernetes.kubeconfigFor('nobody', 'default')).rejects.toThrow('There is no ServiceAccount nobody');
  });

  test('the API server that was stopped comes back with all it held', async () => {
    await kubernetes.stopApiServer();
    await expect(kubernetes.request('GET', '/api/v1/namespaces/default')).rejects.toThrow('ECONNREFUSED');
    await kubernetes.startApiServer();
    await kubernetes.apply(deployment('after', '{ labels: { app: after } }'));
    await until('a new Deployment is available', () => available('after'));
    expect(await available('web')).toBe(true);
  });

  test('a cluster whose program is killed leaves no process and no file', async () => {
    const own = await mkdtemp(join(folder, 'killed-'));
    const start = `require(${JSON.stringify(projectFile('dist/test/lab/kubernetes/kubernetes.js'))})
      .startKubernetes(console.log).then(() => console.log('it runs'));`;
    const program = startProcess(process.execPath, ['-e', start], { env: { ...process.env, TMPDIR: own } });
    await until('it runs', () => {
      if (!program.isRunning()) throw new Error(program.output());
      return Promise.resolve(program.output().includes('it runs'));
    });
    expect(await clusterProcesses(own)).toHaveLength(5);
    program.signal('SIGKILL');
    await until('nothing is left', async () => {
      return (await clusterProcesses(own)).length === 0 && (await readdir(own)).length === 0;
    });
    await rm(own, { recursive: true });
  });
});
