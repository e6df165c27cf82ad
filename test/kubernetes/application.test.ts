import { setTimeout as delay } from 'node:timers/promises';
import { readKubeconfig } from '../lab/kubernetes/access-files';
import { applyManifests, callApi } from '../lab/kubernetes/api';
import type { ApiAccess } from '../lab/kubernetes/api';
import { startFakeKubelet } from '../lab/kubernetes/pods/fake-kubelet';
import type { FakeKubelet } from '../lab/kubernetes/pods/fake-kubelet';
import { startFakeReloader } from '../lab/kubernetes/pods/fake-reloader';
import { applicationManifest, asText, externalSecretManifests, hardCode } from '../lab/kubernetes/pods/manifests';
import type { DeploymentManifest, Way } from '../lab/kubernetes/pods/manifests';
import { startVisitors } from '../lab/kubernetes/pods/visitors';
import type { Visits } from '../lab/kubernetes/pods/visitors';
import { BUILD_MS, describeInCluster, openCluster } from '../testbed/cluster';
import type { Cluster } from '../testbed/cluster';
import { failureOf, openTestbed } from '../testbed/testbed';
import type { Testbed } from '../testbed/testbed';
import { until } from '../testbed/until';

/** How a test's workload picks up its secret. */
interface Application {
  way: Way;
  restart: 'rollout' | 'reloader' | 'none';
  /** Changes the manifest of deploy/kubernetes; is told the login that is in use. */
  change?: (manifest: DeploymentManifest, username: string) => void;
}

interface SecretObject {
  data: Record<string, string>;
}

interface ReplicaSets {
  items: object[];
}

describeInCluster('an application in Kubernetes', () => {
  let cluster: Cluster;
  let access: ApiAccess;
  let bed: Testbed;
  let kubelet: FakeKubelet;
  beforeAll(async () => {
    cluster = await openCluster();
    access = await readKubeconfig(cluster.kubeconfig);
    bed = await openTestbed();
    const { environment } = bed;
    await applyManifests(access, asText([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: environment } }]));
    kubelet = await startFakeKubelet(access, environment);
    bed.alsoStop(kubelet);
    bed.alsoStop({ stop: startFakeReloader(access, environment) });
    await bed.startWorker({ KUBECONFIG: cluster.kubeconfig });
  }, BUILD_MS);
  afterAll(async () => {
    await scanCluster();
    await bed?.close();
    await cluster?.stop();
  });

  /** All that the namespace holds besides Secrets is public: no value may be there. */
  async function scanCluster(): Promise<void> {
    for (const plural of [
      '/api/v1/NAMESPACE/events',
      '/api/v1/NAMESPACE/pods',
      '/apis/apps/v1/NAMESPACE/deployments',
      '/apis/apps/v1/NAMESPACE/replicasets',
      '/apis/external-secrets.io/v1/NAMESPACE/externalsecrets',
    ]) {
      const found = await callApi<object>(access, 'GET', plural.replace('NAMESPACE', `namespaces/${bed.environment}`));
      bed.alsoScan(plural, JSON.stringify(found));
    }
  }

  const storedLogin = async (secret: string, stage?: string) =>
    JSON.parse(await bed.secrets.value(secret, stage)) as { username: string; password: string };

  async function heldPassword(secret: string): Promise<string> {
    const path = `/api/v1/namespaces/${bed.environment}/secrets/${secret}`;
    const password = (await callApi<SecretObject>(access, 'GET', path))?.data['password'] ?? '';
    return Buffer.from(password, 'base64').toString('utf8');
  }

  async function replicaSets(app: string): Promise<number> {
    const path = `/apis/apps/v1/namespaces/${bed.environment}/replicasets?labelSelector=app.kubernetes.io%2Fname%3D${app}`;
    return (await callApi<ReplicaSets>(access, 'GET', path))?.items.length ?? 0;
  }

  /** A database secret with a Deployment of its own, called as the secret. Nothing of it is in the cluster yet. */
  async function declared(secret: string, { way, restart, change }: Application): Promise<() => Promise<void>> {
    const { username } = await bed.databases.alternatingUsers(secret, {
      declaration: {
        gracePeriod: '1 second',
        dependents: [
          {
            kubernetes: {
              namespace: bed.environment,
              externalSecret: secret,
              keys: { username: 'username', password: 'password' },
              ...(restart !== 'none' && { workloads: [{ deployment: secret }] }),
              restart,
              syncTimeout: '30 seconds',
              timeout: '60 seconds',
            },
          },
        ],
      },
    });
    const { host, port } = bed.databases;
    const manifest = await applicationManifest(way, {
      namespace: bed.environment,
      secret,
      app: secret,
      database: { host, port, dbname: username },
      reloader: restart === 'reloader',
    });
    change?.(manifest, username);
    return () => applyManifests(access, asText([manifest]));
  }

  const syncedBy = async (secret: string) =>
    applyManifests(
      access,
      asText(
        await externalSecretManifests({
          namespace: bed.environment,
          secret,
          secretId: bed.secrets.idOf(secret),
          region: process.env['AWS_REGION'] ?? '',
        }),
      ),
    );

  const isUp = (app: string, pods = 2) =>
    until(`${app} is up`, () => Promise.resolve(kubelet.readyPods(app).length === pods));

  /** Asks an application all the time while something is done, and for a moment after. */
  async function visited(app: string, work: () => Promise<void>): Promise<Visits> {
    const visitors = startVisitors((await kubelet.serve(app)).url);
    try {
      await until('the first answer', () => Promise.resolve(visitors.visits.lastUser));
      await work();
      await delay(500);
    } finally {
      await visitors.stop();
    }
    return visitors.visits;
  }

  test.each<[title: string, secret: string, Application, restarts: number]>([
    ['that is restarted', 'restarted', { way: 'environment', restart: 'rollout' }, 1],
    ['that Reloader restarts', 'reloaded', { way: 'environment', restart: 'reloader' }, 1],
    ['that reads its mounted files again', 'reread', { way: 'volume', restart: 'none' }, 0],
  ])('%s answers throughout, and ends with the new password', async (_title, secret, application, restarts) => {
    const deploy = await declared(secret, application);
    await syncedBy(secret);
    await deploy();
    await isUp(secret);
    const first = await storedLogin(secret);
    expect(await heldPassword(secret)).toBe(first.password);
    // The API server notes in whole seconds when something was written.
    await delay(1_100);

    const visits = await visited(secret, async () => {
      // Twice, so that the login that is in use at the end is the first one, which only its new password opens.
      for (const rotations of [1, 2]) {
        const before = await storedLogin(secret);
        const result = await bed.rotate(secret);
        expect({ outcome: result.outcome, warnings: result.warnings ?? [] }).toEqual({
          outcome: 'rotated',
          warnings: [],
        });
        const now = await storedLogin(secret);
        expect(now.username).not.toBe(before.username);
        expect(await heldPassword(secret)).toBe(now.password);
        expect(await bed.databases.opens(secret)).toBe(true);
        expect(await bed.databases.opens(secret, 'AWSPREVIOUS')).toBe(false);
        expect(await replicaSets(secret)).toBe(1 + rotations * restarts);
        await delay(1_100);
      }
    });
    const now = await storedLogin(secret);
    expect(now.username).toBe(first.username);
    expect(now.password).not.toBe(first.password);
    expect(visits.failures).toEqual([]);
    expect(visits.requests).toBeGreaterThan(50);
    expect(visits.users).toEqual([first.username, `${first.username}_clone`]);
    expect(visits.lastUser).toBe(first.username);
    expect(visits.pods.size).toBe(2 * (1 + 2 * restarts));
  });

  test('that waits for its secret in an init container starts when the operator has synced it, and is restarted', async () => {
    const deploy = await declared('waiting', { way: 'init-container', restart: 'rollout' });
    await deploy();
    await delay(2_000);
    expect(kubelet.readyPods('waiting')).toEqual([]);
    await syncedBy('waiting');
    await isUp('waiting', 1);
    const { username } = await storedLogin('waiting');
    const visits = await visited('waiting', async () => {
      expect(await bed.rotate('waiting')).toMatchObject({ outcome: 'rotated' });
    });
    expect(visits.failures).toEqual([]);
    expect(visits.users).toEqual([username, `${username}_clone`]);
  });

  test('that cannot use the new login rolls the rotation back, and answers throughout', async () => {
    const deploy = await declared('stubborn', {
      way: 'environment',
      restart: 'rollout',
      change: (manifest, username) => {
        manifest.spec.progressDeadlineSeconds = 6;
        // Somebody has written down the login that was in use at the time.
        hardCode(manifest, 'DATABASE_USER', username);
      },
    });
    const before = await storedLogin('stubborn');
    await syncedBy('stubborn');
    await deploy();
    await isUp('stubborn');
    const visits = await visited('stubborn', async () => {
      const { type, message } = await failureOf(bed.rotate('stubborn'));
      expect(type).toBe('RotationRolledBack');
      expect(message).toContain(`The Deployment ${bed.environment}/stubborn`);
      expect(message).toContain('ProgressDeadlineExceeded');
    });
    expect(await storedLogin('stubborn')).toEqual(before);
    expect(await heldPassword('stubborn')).toBe(before.password);
    expect(await bed.databases.opens('stubborn')).toBe(true);
    expect(visits.failures).toEqual([]);
    expect(visits.users).toEqual([before.username]);
    await isUp('stubborn');
  });
});
