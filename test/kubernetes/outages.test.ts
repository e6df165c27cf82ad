import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { WorkflowHandle } from '@temporalio/client';
import { startFaultProxy } from '../lab/fault-proxy';
import type { FaultProxy } from '../lab/fault-proxy';
import { freePort, LOOPBACK } from '../lab/ports';
import { startEnforcingAws } from '../testbed/enforcing-aws';
import type { EnforcingAws } from '../testbed/enforcing-aws';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed, Use } from '../testbed/kubernetes-rotations';
import { testSideBySide } from '../testbed/side-by-side';
import { createSubject } from '../testbed/subjects';
import type { Subject } from '../testbed/subjects';
import { failureOf } from '../testbed/testbed';
import { until } from '../testbed/until';
import { inPhase } from '../testbed/watching';

/** A secret whose delivery meets with an outage. */
interface Case extends Subject {
  before: { labels: object; value?: string };
}

interface KubeconfigContext {
  clusters: [{ name: string; cluster: { server: string } }];
  users: [{ name: string; user: object }];
  contexts: [{ name: string; context: { cluster: string; user: string } }];
}

describeInCluster('a delivery that meets with an outage ends rotated or rolled back, and names the cause', () => {
  let aws: EnforcingAws;
  let stage: ClusterBed;
  /** Between the workers and the API server, for dependents of the context `wire`. */
  let wire: FaultProxy;
  beforeAll(async () => {
    aws = await startEnforcingAws();
    Object.assign(process.env, aws.settings);
    stage = await openClusterBed({ rollbackTimeout: '3 minutes' });
    wire = await startFaultProxy(Number(new URL(stage.cluster.server).port));
    await writeContexts();
    await stage.bed.startWorker();
  }, BUILD_MS);
  afterAll(async () => {
    await stage?.close();
    await wire?.stop();
    await aws?.stop();
  });

  /** Adds to the kubeconfig: `wire`, `nowhere`, and ServiceAccounts with few rights or none. */
  async function writeContexts(): Promise<void> {
    const { cluster, namespace } = stage;
    const read = async (file: string) => parse(await readFile(file, 'utf8')) as KubeconfigContext;
    const admin = await read(cluster.kubeconfig);
    const contexts: [name: string, KubeconfigContext, server?: string][] = [
      ['wire', admin, `https://${LOOPBACK}:${wire.port}`],
      ['nowhere', admin, `https://${LOOPBACK}:${await freePort()}`],
    ];
    for (const name of ['stranger', 'reader', 'dismissed']) {
      await stage.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
      contexts.push([name, await read(await cluster.kubeconfigFor(name, namespace))]);
    }
    const added = contexts.map(([name, { clusters, users }, server]) => ({
      cluster: { name, cluster: { ...clusters[0].cluster, ...(server && { server }) } },
      user: { name, user: users[0].user },
      context: { name, context: { cluster: name, user: name } },
    }));
    const all = {
      ...admin,
      clusters: [...admin.clusters, ...added.map(({ cluster }) => cluster)],
      users: [...admin.users, ...added.map(({ user }) => user)],
      contexts: [...admin.contexts, ...added.map(({ context }) => context)],
    };
    await writeFile(cluster.kubeconfig, stringify(all), { mode: 0o600 });
  }

  async function prepare(secret: string, dependent: object = {}, declaration: object = {}, use?: Use): Promise<Case> {
    const subject = await createSubject(stage.bed, 'single-user', secret, {
      dependents: [stage.dependentOn(secret, dependent)],
      stepTimeout: '5 seconds',
      ...declaration,
    });
    await stage.deploy(secret, use);
    return {
      ...subject,
      before: { labels: await stage.bed.secrets.labels(secret), value: await stage.held(secret) },
    };
  }

  async function expectRotated({ secret, opens, before }: Case, handle: WorkflowHandle): Promise<void> {
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await stage.current(secret)).not.toBe(before.value);
    expect(await stage.held(secret)).toBe(await stage.current(secret));
    expect(await opens()).toBe(true);
    expect(await stage.restarts(secret)).toBe(1);
  }

  async function expectUndone(
    { secret, opens, before }: Case,
    handle: WorkflowHandle,
    expected: 'RotationRolledBack' | 'RotationRefused',
  ): Promise<string> {
    const { type, message } = await failureOf(handle.result());
    expect({ type, message }).toMatchObject({ type: expected });
    expect(await stage.bed.secrets.labels(secret)).toEqual(before.labels);
    expect(await stage.current(secret)).toBe(before.value);
    expect(await stage.held(secret)).toBe(before.value);
    expect(await opens()).toBe(true);
    return message;
  }

  const atSync = (secret: string) =>
    ({
      secretId: stage.bed.secrets.idOf(secret),
      step: 'deliver',
      activity: 'syncToKubernetes',
      when: 'before',
    }) as const;

  /** Starts a rotation, and does something when everything but the delivery is done. */
  async function changingBeforeSync(secret: string, change: () => Promise<unknown>): Promise<WorkflowHandle> {
    const { pauses } = stage.bed;
    await pauses.stopAt(atSync(secret));
    const handle = await stage.bed.start(secret);
    await pauses.reached(atSync(secret));
    await change();
    await pauses.goOn(atSync(secret));
    return handle;
  }

  /** A store of its own, with an AWS key that may be exchanged. */
  async function storeOf(secret: string): Promise<{ use: Use; giveKey(key: 'right' | 'wrong'): Promise<void> }> {
    const name = `store-of-${secret}`;
    const reference = (key: string) => ({ name, key });
    const giveKey = (which: 'right' | 'wrong') =>
      stage.apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name },
        stringData: {
          id: which === 'right' ? (aws.settings['AWS_ACCESS_KEY_ID'] ?? '') : 'AKIAIOSFODNN7EXAMPLE',
          key: aws.settings['AWS_SECRET_ACCESS_KEY'] ?? '',
        },
      });
    await giveKey('right');
    const auth = {
      secretRef: { accessKeyIDSecretRef: reference('id'), secretAccessKeySecretRef: reference('key') },
    };
    await stage.apply({
      apiVersion: 'external-secrets.io/v1',
      kind: 'SecretStore',
      metadata: { name },
      spec: { provider: { aws: { service: 'SecretsManager', region: aws.region, auth } } },
    });
    return { use: { externalSecret: { secretStoreRef: { kind: 'SecretStore', name } } }, giveKey };
  }

  /** The Role of deploy/kubernetes/access.yaml for one secret, without some of its verbs. */
  const permit = async (account: string, secret: string, leftOut: string[] = []) => {
    const rule = (group: string, resource: string, verbs: string[]) => ({
      apiGroups: [group],
      resources: [resource],
      resourceNames: [secret],
      verbs: verbs.filter((verb) => !leftOut.includes(`${verb} ${resource}`)),
    });
    await stage.apply(
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: account },
        rules: [
          rule('external-secrets.io', 'externalsecrets', ['get', 'patch']),
          rule('', 'secrets', ['get', 'list', 'watch']),
          rule('apps', 'deployments', ['get', 'list', 'watch', 'patch']),
        ],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: account },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace: stage.namespace }],
      },
    );
  };

  testSideBySide({
    async 'an ExternalSecret that is missing: refused before anything is changed'() {
      const missing = await prepare('missing', { externalSecret: 'never-made', secret: 'missing' });
      const message = await expectUndone(missing, await stage.bed.start('missing'), 'RotationRefused');
      expect(message).toContain(`There is no ExternalSecret ${stage.namespace}/never-made`);
    },

    async 'an ExternalSecret that is deleted meanwhile: rolled back once it is there again'() {
      const deleted = await prepare('deleted');
      const path = stage.path('externalsecrets', 'deleted');
      const handle = await changingBeforeSync('deleted', async () => {
        await stage.cluster.request('DELETE', path);
        await until('its Secret is gone with it', async () => (await stage.held('deleted')) === undefined);
      });
      await inPhase(handle, 'rolling-back');
      await stage.deploy('deleted');
      const message = await expectUndone(deleted, handle, 'RotationRolledBack');
      expect(message).toContain(`There is no ExternalSecret ${stage.namespace}/deleted`);
    },

    async "the store's credentials are wrong: rolled back, and nothing of the candidate comes later"() {
      const { use, giveKey } = await storeOf('locked-out');
      const lockedOut = await prepare('locked-out', { syncTimeout: '6 seconds' }, {}, use);
      const handle = await changingBeforeSync('locked-out', () => giveKey('wrong'));
      const message = await expectUndone(lockedOut, handle, 'RotationRolledBack');
      expect(message).toMatch(/ExternalSecret \S+\/locked-out is not ready: SecretSyncedError/);
      expect(message).toMatch(/Its last warning: .*GetSecretValue, .*StatusCode: 403/);
      await giveKey('right');
      await until('the operator can read again', async () => {
        const found = await stage.cluster.request<{ status: { conditions: object[] } }>(
          'GET',
          stage.path('externalsecrets', 'locked-out'),
        );
        return found?.status.conditions.some((condition) => 'status' in condition && condition.status === 'True');
      });
      expect(await stage.held('locked-out')).toBe(lockedOut.before.value);
    },

    async 'a ServiceAccount without any right: refused with the 403 of the API server'() {
      const stranger = await prepare('stranger', { context: 'stranger' });
      const message = await expectUndone(stranger, await stage.bed.start('stranger'), 'RotationRefused');
      expect(message).toContain(`The worker may not get externalsecrets ${stage.namespace}/stranger`);
      expect(message).toMatch(/is forbidden: User "system:serviceaccount:\S+:stranger" cannot get resource/);
      expect(message).toContain('deploy/kubernetes/access.yaml');
    },

    async 'a right that only the way back would have missed: refused before anything is changed'() {
      await permit('reader', 'reader', ['watch secrets', 'patch deployments']);
      const reader = await prepare('reader', { context: 'reader' });
      const message = await expectUndone(reader, await stage.bed.start('reader'), 'RotationRefused');
      const [secret, deployment] = ['secrets', 'deployments'].map(
        (resource) => `${resource} ${stage.namespace}/reader`,
      );
      expect(message).toContain(`The worker may not watch ${secret}; patch ${deployment} in`);
    },

    async 'rights that are taken away meanwhile: rolled back once they are given again'() {
      await permit('dismissed', 'dismissed');
      const dismissed = await prepare('dismissed', { context: 'dismissed' });
      const handle = await changingBeforeSync('dismissed', () =>
        stage.cluster.request('DELETE', stage.path('rolebindings', 'dismissed')),
      );
      await inPhase(handle, 'rolling-back');
      await permit('dismissed', 'dismissed');
      const message = await expectUndone(dismissed, handle, 'RotationRolledBack');
      expect(message).toContain(`The worker may not get secrets ${stage.namespace}/dismissed`);
      // Names that are also in the secret, as its user and its database are, are told.
      expect(message).toMatch(
        /secrets "dismissed" is forbidden: User "system:serviceaccount:\S+:dismissed" cannot get resource "secrets"/,
      );
    },

    async 'an API server that cannot be reached: refused before anything is changed'() {
      const nowhere = await prepare('nowhere', { context: 'nowhere' });
      const message = await expectUndone(nowhere, await stage.bed.start('nowhere'), 'RotationRefused');
      expect(message).toMatch(/The API server of the cluster of context nowhere did not answer .* \(ECONNREFUSED\)/);
    },

    async 'watches that are cut during the sync and the rollout: rotated, with one restart'() {
      const { use, giveKey } = await storeOf('cut');
      const declaration = { stepTimeout: '60 seconds' };
      const annotations = { 'keyturn.test/ready-after': '4s' };
      const cut = await prepare('cut', { context: 'wire' }, declaration, { ...use, annotations });
      const handle = await changingBeforeSync('cut', () => giveKey('wrong'));
      await delay(1_000);
      await cutOff();
      await giveKey('right');
      await until('it is restarted', async () => (await stage.restarts('cut')) === 1);
      await cutOff();
      await expectRotated(cut, handle);
    },
  });

  /** All connections, and new ones for longer than a call is tried again at once. */
  async function cutOff(): Promise<void> {
    await wire.refuse();
    await delay(500);
    await wire.accept();
  }

  test('the operator stopped: rolled back, or rotated when it comes back in time', async () => {
    const [gone, back] = await Promise.all([prepare('gone', { syncTimeout: '4 seconds' }), prepare('back')]);
    await stage.operator.stop();
    // The API server notes times in whole seconds.
    await delay(1_100);
    const [first, second] = await Promise.all([stage.bed.start('gone'), stage.bed.start('back')]);
    const message = await expectUndone(gone, first, 'RotationRolledBack');
    expect(message).toContain('is External Secrets Operator running?');
    await stage.operator.start();
    await expectRotated(back, second);
    expect(await stage.held('gone')).toBe(gone.before.value);
  });
});
