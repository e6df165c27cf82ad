import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateSecretCommand, PutSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Cause } from '../../src/rotation/errors';
import { secretsManagerOf, startAws } from '../lab/aws';
import type { Aws } from '../lab/aws';
import { startExternalSecrets } from '../lab/kubernetes/external-secrets';
import type { ExternalSecrets } from '../lab/kubernetes/external-secrets';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { projectFile } from '../lab/project';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { DEPENDENT, NAMESPACE, pathOf } from '../testbed/kubernetes';
import { startDeliverer } from '../testbed/kubernetes-deliverer';
import type { Deliverer } from '../testbed/kubernetes-deliverer';
import { until } from '../testbed/until';

/** All of deploy/kubernetes, in the order in which they are applied. */
const MANIFESTS = [
  'access',
  'cluster-external-secret-access',
  'worker',
  'external-secret',
  'applications/volume',
  'applications/environment',
  'applications/init-container',
];
const REMOTE = 'production/database/orders';
const report = (line: string) => void process.stderr.write(`${line}\n`);

const valueOf = (password: string) => JSON.stringify({ username: 'orders', password });

describeInCluster('syncing a Secret by External Secrets Operator', () => {
  let aws: Aws;
  let secrets: SecretsManagerClient;
  let cluster: Kubernetes;
  let operator: ExternalSecrets;
  /** With the rights of deploy/kubernetes/access.yaml alone. */
  let deliverer: Deliverer;
  let administrator: Deliverer;

  beforeAll(async () => {
    [aws, cluster] = await Promise.all([startAws(report), startKubernetes(report)]);
    secrets = secretsManagerOf(aws);
    await secrets.send(new CreateSecretCommand({ Name: REMOTE, SecretString: valueOf('the-first-password') }));
    operator = await startExternalSecrets(cluster, aws, report);
    for (const name of [NAMESPACE, 'keyturn']) {
      await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`);
    }
    for (const file of MANIFESTS) {
      await cluster.apply(await manifest(file));
    }
    await until('the first sync', () => cluster.request('GET', secretPath('orders-db')));
    administrator = startDeliverer(cluster.kubeconfig);
    deliverer = startDeliverer(await cluster.kubeconfigFor('keyturn-worker', 'keyturn'));
  }, BUILD_MS);
  afterAll(async () => {
    await deliverer?.kill();
    await administrator?.kill();
    await operator?.stop();
    await cluster?.stop();
    await aws?.stop();
  });

  const manifest = async (name: string) =>
    (await readFile(projectFile('deploy', 'kubernetes', `${name}.yaml`), 'utf8')).replaceAll(
      'eu-central-1',
      aws.region,
    );
  const secretPath = (name: string, namespace = NAMESPACE) => `/api/v1/namespaces/${namespace}/secrets/${name}`;
  const externalSecretPath = (name: string, namespace = NAMESPACE) =>
    `/apis/external-secrets.io/v1/namespaces/${namespace}/externalsecrets/${name}`;

  /** Puts a new version and makes it AWSCURRENT, as a promotion does. */
  async function promote(password: string): Promise<string> {
    const text = valueOf(password);
    await secrets.send(new PutSecretValueCommand({ SecretId: REMOTE, SecretString: text }));
    return text;
  }

  async function askedFor(annotated: string): Promise<string | undefined> {
    const found = await cluster.request<{ metadata: { annotations?: Record<string, string> } }>('GET', annotated);
    return found?.metadata.annotations?.['force-sync'];
  }

  async function resourceVersionOf(name: string): Promise<string | undefined> {
    const found = await cluster.request<{ metadata: { resourceVersion: string } }>('GET', secretPath(name));
    return found?.metadata.resourceVersion;
  }

  test('a promoted version arrives at once, with the rights of the Role alone, and is asked for once', async () => {
    const text = await promote('the-second-password');
    const first = await deliverer.sync(DEPENDENT, 'v-2', text);
    expect(first.failure).toBeUndefined();
    expect(first.tookMs).toBeLessThan(9_000);
    expect(await askedFor(externalSecretPath('orders-db'))).toBe('v-2');
    const again = await deliverer.sync(DEPENDENT, 'v-2', text);
    expect(again.failure).toBeUndefined();
    expect(again.calls).toEqual(['GET secrets', 'GET external-secrets.io', 'GET externalsecrets']);

    const workload = { kind: 'Deployment', name: 'orders-worker' } as const;
    expect((await deliverer.restart(DEPENDENT, workload, 'v-2')).failure).toBeUndefined();
    expect(await cluster.request('GET', pathOf(workload))).toMatchObject({ status: { availableReplicas: 2 } });
  });

  test('a version that was rolled back is synced back', async () => {
    const promoted = await promote('a-password-to-go-back-from');
    expect((await deliverer.sync(DEPENDENT, 'v-3', promoted)).failure).toBeUndefined();
    const back = await promote('the-second-password');
    expect((await deliverer.sync(DEPENDENT, 'v-2', back)).failure).toBeUndefined();
    expect(await askedFor(externalSecretPath('orders-db'))).toBe('v-2, after v-3');
  });

  test('the operator is asked again when the Secret does not change', async () => {
    const text = valueOf('a-password-that-is-promoted-late');
    const syncing = deliverer.sync(DEPENDENT, 'v-4', text);
    await until('it was asked', async () => (await askedFor(externalSecretPath('orders-db')))?.startsWith('v-4'));
    // The operator has read the version before by then.
    await delay(3_000);
    await promote('a-password-that-is-promoted-late');
    expect((await syncing).failure).toBeUndefined();
    expect(await askedFor(externalSecretPath('orders-db'))).toBe('v-4, after v-2, again 1');
  });

  test('a version that does not come in time says what is seen, and no value', async () => {
    const { failure } = await deliverer.sync(
      { ...DEPENDENT, syncTimeoutMs: 1_500 },
      'v-5',
      valueOf('never-promoted-password'),
    );
    expect(failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(failure?.message).toMatch(
      /The Secret shop\/orders-db .* did not get version v-5 within .*: its key password holds another value\. ExternalSecret shop\/orders-db says that it is synced/,
    );
    expect(failure?.message).not.toContain('never-promoted');
  });

  test('a wait that another attempt began is not begun anew', async () => {
    const early = Date.now() - 600_000;
    const { failure, tookMs } = await deliverer.sync(DEPENDENT, 'v-5', valueOf('never-promoted-password'), {
      scheduledAt: early,
    });
    expect(failure?.type).toBe(Cause.NotSynced);
    expect(tookMs).toBeLessThan(15_000);
  });

  test.each<[string, object, RegExp]>([
    ['a store that is not there', { secretStoreRef: { kind: 'SecretStore', name: 'nowhere' } }, /nowhere/],
    [
      'a secret that the provider does not have',
      { data: [{ secretKey: 'password', remoteRef: { key: 'prod/nothing' } }] },
      /SecretSyncedError: .*Its last warning: .*(not found|does not exist|can't find)/i,
    ],
  ])('%s is named', async (_what, spec, message) => {
    const name = `trouble-${Object.keys(spec)[0]?.toLowerCase()}`;
    const base = { refreshInterval: '1h', secretStoreRef: { kind: 'SecretStore', name: 'aws' }, target: { name } };
    const data = [{ secretKey: 'password', remoteRef: { key: REMOTE, property: 'password' } }];
    await cluster.apply(
      JSON.stringify({
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name, namespace: NAMESPACE },
        spec: { ...base, data, ...spec },
      }),
    );
    const dependent = { ...DEPENDENT, externalSecret: name, secret: name, syncTimeoutMs: 3_000 };
    const { failure } = await administrator.sync(dependent, 'v-1', valueOf('x-password'));
    expect(failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(failure?.message).toMatch(message);
  });

  test('an ExternalSecret that is not there, and one that never syncs again, fail at once', async () => {
    const missing = await administrator.sync({ ...DEPENDENT, externalSecret: 'missing' }, 'v-9', valueOf('y-password'));
    expect(missing.failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(missing.failure?.message).toContain('There is no ExternalSecret shop/missing');

    await cluster.request('PATCH', externalSecretPath('orders-db'), { spec: { refreshInterval: '0' } });
    const never = await administrator.sync(DEPENDENT, 'v-9', valueOf('y-password'));
    expect(never.failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(never.failure?.message).toContain('refreshInterval: 0');
    await cluster.request('PATCH', externalSecretPath('orders-db'), { spec: { refreshInterval: '1h' } });
  });

  test('the operator, stopped and started again, syncs what was asked for meanwhile', async () => {
    const text = await promote('a-password-during-an-outage');
    await operator.stop();
    // The API server notes times in whole seconds.
    await delay(1_100);
    const stopped = await deliverer.sync({ ...DEPENDENT, syncTimeoutMs: 1_500 }, 'v-10', text);
    expect(stopped.failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(stopped.failure?.message).toContain('is External Secrets Operator running?');
    const syncing = deliverer.sync({ ...DEPENDENT, syncTimeoutMs: 60_000 }, 'v-10', text);
    await until('it was asked', async () => (await askedFor(externalSecretPath('orders-db')))?.startsWith('v-10'));
    await operator.start();
    expect((await syncing).failure).toBeUndefined();
  });

  test.each([
    ['while nothing of that one comes, it gave nothing to anybody', undefined, true],
    ['what of that one still came is overwritten, and not taken for untouched', 'written-by-a-late-sync', false],
  ])('a version that is brought back, when another was asked for: %s', async (_what, late, untouched) => {
    const text = await promote('a-password-that-stays');
    expect((await deliverer.sync(DEPENDENT, 'v-20', text)).failure).toBeUndefined();
    await operator.stop();
    const other = await deliverer.sync({ ...DEPENDENT, syncTimeoutMs: 1_500 }, 'v-21', valueOf('never-promoted'));
    expect(other.failure?.type).toBe(Cause.NotSynced);
    const back = { undoes: 'v-21', resourceVersion: await resourceVersionOf('orders-db') };
    const taking = deliverer.sync({ ...DEPENDENT, syncTimeoutMs: 60_000 }, 'v-20', text, { back });
    await until('it was asked', async () =>
      (await askedFor(externalSecretPath('orders-db')))?.startsWith('v-20, after v-21'),
    );
    // What an operator would do that had read before it was asked.
    if (late) {
      const data = { password: Buffer.from(late).toString('base64') };
      await cluster.request('PATCH', secretPath('orders-db'), { data });
    }
    await operator.start();
    const { failure, result } = await taking;
    expect(failure).toBeUndefined();
    expect(result).toMatchObject({ untouched });
    expect((await deliverer.sync(DEPENDENT, 'v-20', text)).failure).toBeUndefined();
  });

  test('a worker killed while it waits for a sync that is on its way: the next attempt waits for it anew', async () => {
    const text = await promote('a-password-that-stays-again');
    expect((await deliverer.sync(DEPENDENT, 'v-30', text)).failure).toBeUndefined();
    await operator.stop();
    const other = await deliverer.sync({ ...DEPENDENT, syncTimeoutMs: 1_500 }, 'v-31', valueOf('never-promoted'));
    expect(other.failure?.type).toBe(Cause.NotSynced);
    const back = { undoes: 'v-31', resourceVersion: await resourceVersionOf('orders-db') };
    const isAskedFor = (request: string) =>
      until(`${request} is asked for`, async () => (await askedFor(externalSecretPath('orders-db'))) === request);

    const killed = startDeliverer(await cluster.kubeconfigFor('keyturn-worker', 'keyturn'));
    const cut = killed.sync(DEPENDENT, 'v-30', text, { back }).catch(() => 'cut');
    await isAskedFor('v-30, after v-31');
    await killed.kill();
    expect(await cut).toBe('cut');

    const dependent = { ...DEPENDENT, syncTimeoutMs: 60_000 };
    const taking = deliverer.sync(dependent, 'v-30', text, { back, attempt: 2 });
    await isAskedFor('v-30, after v-31, again 1');
    const late = { password: Buffer.from('written-by-a-late-sync').toString('base64') };
    await cluster.request('PATCH', secretPath('orders-db'), { data: late });
    await operator.start();
    const { failure, result } = await taking;
    expect(failure).toBeUndefined();
    expect(result).toMatchObject({ untouched: false });
    // Nothing is on its way any more.
    expect((await deliverer.sync(DEPENDENT, 'v-30', text)).calls).not.toContain('PATCH externalsecrets');
  });

  test('what a template makes of a version is seen by its change alone, also when nothing came of the version', async () => {
    await cluster.apply(
      JSON.stringify({
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'templated', namespace: NAMESPACE },
        spec: {
          refreshInterval: '1h',
          secretStoreRef: { kind: 'SecretStore', name: 'aws' },
          target: {
            name: 'templated',
            template: { data: { url: 'postgresql://{{ .username }}:{{ .password }}@db/orders' } },
          },
          dataFrom: [{ extract: { key: REMOTE } }],
        },
      }),
    );
    await until('the first sync', () => cluster.request('GET', secretPath('templated')));
    const dependent = { ...DEPENDENT, externalSecret: 'templated', secret: 'templated', expect: 'any-change' as const };
    const text = await promote('a-password-in-a-template');
    expect((await administrator.sync(dependent, 'v-11', text)).failure).toBeUndefined();
    // The API server notes times in whole seconds.
    await delay(1_100);
    const asked = await administrator.sync({ ...dependent, syncTimeoutMs: 2_000 }, 'v-12', valueOf('never-promoted'));
    expect(asked.failure?.message).toContain('it has not changed since it was asked for');
    const before = await resourceVersionOf('templated');
    const brought = await promote('a-password-in-a-template');
    // What its rotation knows of the Secret, or does not know because something else of it was written since.
    for (const resourceVersion of [before, '1']) {
      const back = { undoes: 'v-12', resourceVersion };
      const { failure, result } = await administrator.sync(dependent, 'v-11', brought, { back });
      expect(failure).toBeUndefined();
      expect(result).toMatchObject({ untouched: resourceVersion === before, came: false });
    }
    // Nor does it matter who has asked last, or for which of the secrets that the ExternalSecret reads.
    const annotations = { 'force-sync': '1700000000' };
    await cluster.request('PATCH', externalSecretPath('templated'), { metadata: { annotations } });
    const back = { undoes: 'v-12' };
    expect((await administrator.sync(dependent, 'v-11', brought, { back })).failure).toBeUndefined();
    expect(await askedFor(externalSecretPath('templated'))).toBe('v-11, after 1700000000');
  });

  test('a new version that the operator brought by its own refresh, before it was asked to, is there by its word', async () => {
    const dependent = {
      ...DEPENDENT,
      externalSecret: 'templated',
      secret: 'templated',
      expect: 'any-change' as const,
      syncTimeoutMs: 20_000,
    };
    const seen = { resourceVersion: await resourceVersionOf('templated') };
    const text = await promote('a-password-that-the-operator-brought');
    const annotations = { 'force-sync': 'as-a-refresh-would' };
    await cluster.request('PATCH', externalSecretPath('templated'), { metadata: { annotations } });
    const url = Buffer.from('postgresql://orders:a-password-that-the-operator-brought@db/orders').toString('base64');
    await until('the operator has synced', async () => {
      const held = await cluster.request<{ data: { url: string } }>('GET', secretPath('templated'));
      return held?.data.url === url;
    });
    const { failure, result } = await administrator.sync(dependent, 'v-50', text, { seen });
    expect(failure).toBeUndefined();
    expect(result).toMatchObject({ untouched: false, came: false });
  });

  test('a version that lacks a mapped field cannot be compared: it is brought back where nothing has come, or by the word of the operator', async () => {
    const mistyped = { ...DEPENDENT, keys: [{ key: 'password', field: 'passwort' }] };
    const before = await promote('a-password-before-the-mistake');
    expect((await deliverer.sync(DEPENDENT, 'v-40', before)).failure).toBeUndefined();
    const back = { undoes: 'v-41', resourceVersion: await resourceVersionOf('orders-db') };
    const text = await promote('a-password-that-is-taken-back');
    expect((await deliverer.sync(mistyped, 'v-41', text)).failure?.type).toBe(Cause.SecretUnusable);

    await promote('a-password-before-the-mistake');
    const untouched = await deliverer.sync(mistyped, 'v-40', before, { back });
    expect(untouched.failure).toBeUndefined();
    expect(untouched.result).toMatchObject({ untouched: true });
    // As the operator's own refresh would.
    const data = { password: Buffer.from('a-password-that-is-taken-back').toString('base64') };
    await cluster.request('PATCH', secretPath('orders-db'), { data });
    const synced = await deliverer.sync(mistyped, 'v-40', before, { back });
    expect(synced.failure).toBeUndefined();
    expect(synced.result).toMatchObject({ untouched: false });
    const held = await cluster.request<{ data: object }>('GET', secretPath('orders-db'));
    expect(held?.data).toMatchObject({ password: Buffer.from('a-password-before-the-mistake').toString('base64') });
  });

  test('a ClusterExternalSecret has its ExternalSecret in the namespace synced, and back, with the rights of its manifest alone', async () => {
    const namespace = 'depot';
    await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${namespace}}}`);
    const there = (text: string) => text.replaceAll(`namespace: ${NAMESPACE}`, `namespace: ${namespace}`);
    const aboutExternalSecrets = /- apiGroups: \[external-secrets.io\]\n +resources: \[externalsecrets\]\n.*\n.*\n/;
    await cluster.apply(there(await manifest('access')).replace(aboutExternalSecrets, ''));
    const [store = ''] = there(await manifest('external-secret')).split('---');
    await cluster.apply(store);
    await cluster.apply(
      JSON.stringify({
        apiVersion: 'external-secrets.io/v1',
        kind: 'ClusterExternalSecret',
        metadata: { name: 'orders-db' },
        spec: {
          namespaces: [namespace],
          externalSecretName: 'everywhere',
          externalSecretSpec: {
            refreshInterval: '1h',
            secretStoreRef: { kind: 'SecretStore', name: 'aws' },
            target: { name: 'orders-db' },
            data: [{ secretKey: 'password', remoteRef: { key: REMOTE, property: 'password' } }],
          },
        },
      }),
    );
    await until('the first sync', () => cluster.request('GET', secretPath('orders-db', namespace)));
    const dependent = { ...DEPENDENT, sync: 'cluster-external-secret' as const, namespace };

    const forbidden = await deliverer.look(dependent, false);
    expect(forbidden.failure).toMatchObject({ type: Cause.PermissionDenied, nonRetryable: true });
    expect(forbidden.failure?.message).toContain('The worker may not get externalsecrets depot/everywhere in ');
    const ofTheOther = /(resources: \[externalsecrets\]\n +resourceNames: \[)orders-db/;
    await cluster.apply(there(await manifest('cluster-external-secret-access')).replace(ofTheOther, '$1everywhere'));
    await until('it is permitted', async () => (await deliverer.look(dependent, false)).failure === undefined);

    const text = await promote('a-password-for-everywhere');
    const { failure, tookMs } = await deliverer.sync(dependent, 'v-13', text);
    expect(failure).toBeUndefined();
    expect(tookMs).toBeLessThan(9_000);
    expect(await askedFor(externalSecretPath('everywhere', namespace))).toBe('v-13');

    // Nothing can be seen to change there any more: the operator's word counts.
    const seenByChange = { ...dependent, expect: 'any-change' as const };
    const again = await deliverer.sync(seenByChange, 'v-13', text, { back: { undoes: 'v-14' } });
    expect(again.failure).toBeUndefined();
    expect(again.result).toMatchObject({ untouched: false, came: false });

    // What it may still be writing of another version is waited for.
    const other = await deliverer.sync({ ...dependent, syncTimeoutMs: 1_500 }, 'v-14', valueOf('never-promoted'));
    expect(other.failure?.type).toBe(Cause.NotSynced);
    const back = await deliverer.sync(dependent, 'v-13', text, { back: { undoes: 'v-14' } });
    expect(back.failure).toBeUndefined();
  });

  test('the Role allows nothing else: each refusal names the verb, the resource and the namespace', async () => {
    const text = valueOf('the-second-password');
    const otherSecret = await deliverer.sync({ ...DEPENDENT, secret: 'templated' }, 'v-1', text);
    expect(otherSecret.failure).toMatchObject({ type: Cause.PermissionDenied, nonRetryable: true });
    expect(otherSecret.failure?.message).toMatch(/may not get secrets shop\/templated/);
    const otherNamespace = await deliverer.sync({ ...DEPENDENT, namespace: 'keyturn' }, 'v-1', text);
    expect(otherNamespace.failure?.message).toMatch(/may not get secrets keyturn\/orders-db/);
    const pushed = await deliverer.sync({ ...DEPENDENT, sync: 'push' }, 'v-1', text);
    expect(pushed.failure?.message).toMatch(/may not patch secrets shop\/orders-db/);
    const other = await deliverer.restart(DEPENDENT, { kind: 'StatefulSet', name: 'orders' }, 'v-1');
    expect(other.failure?.message).toMatch(/may not get statefulsets shop\/orders/);
  });
});
