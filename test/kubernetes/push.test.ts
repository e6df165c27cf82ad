import { setTimeout as delay } from 'node:timers/promises';
import { Cause } from '../../src/rotation/errors';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { DEPENDENT, NAMESPACE } from '../testbed/kubernetes';
import { startDeliverer } from '../testbed/kubernetes-deliverer';
import type { Deliverer } from '../testbed/kubernetes-deliverer';

const PUSHED = { ...DEPENDENT, sync: 'push' as const, externalSecret: undefined };
const TEXT = JSON.stringify({ username: 'orders', password: 'pushed-password-of-the-test', token: 'pushed-token' });

describeInCluster('writing keys of a Secret without an operator', () => {
  let cluster: Kubernetes;
  let deliverer: Deliverer;
  beforeAll(async () => {
    cluster = await startKubernetes((line) => process.stderr.write(`${line}\n`));
    await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${NAMESPACE}}}`);
    deliverer = startDeliverer(cluster.kubeconfig);
  }, BUILD_MS);
  afterAll(async () => {
    await deliverer?.kill();
    await cluster?.stop();
  });

  const path = (name: string) => `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`;

  async function keysOf(name: string): Promise<Record<string, string> | undefined> {
    const secret = await cluster.request<{ data?: Record<string, string> }>('GET', path(name));
    if (!secret) return undefined;
    return Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  }

  const apply = (name: string, stringData: Record<string, string>, more: object = {}) =>
    cluster.apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace: NAMESPACE },
        stringData,
        ...more,
      }),
    );

  test('only the mapped keys are written, and the others are kept', async () => {
    await cluster.request('POST', path('').slice(0, -1), {
      metadata: { name: 'mixed' },
      stringData: { password: 'old', host: 'db.example.com' },
    });
    const { failure } = await deliverer.sync({ ...PUSHED, secret: 'mixed' }, 'v-1', TEXT);
    expect(failure?.message).toMatch(/Somebody else manages keys of Secret shop\/mixed .*: \S+ \(password\)/);
    expect(await keysOf('mixed')).toEqual({ password: 'old', host: 'db.example.com' });

    // Nothing came of it, so that nothing has to be taken back.
    const found = await cluster.request<{ metadata: { resourceVersion: string } }>('GET', path('mixed'));
    const back = { undoes: 'v-1', resourceVersion: found?.metadata.resourceVersion };
    const takenBack = await deliverer.sync({ ...PUSHED, secret: 'mixed' }, 'v-0', TEXT, { back });
    expect(takenBack).toMatchObject({ result: { untouched: true }, calls: ['GET secrets'] });

    await cluster.request('PATCH', path('mixed'), { data: { password: null } });
    expect((await deliverer.sync({ ...PUSHED, secret: 'mixed' }, 'v-1', TEXT)).failure).toBeUndefined();
    expect(await keysOf('mixed')).toEqual({ password: 'pushed-password-of-the-test', host: 'db.example.com' });
  });

  test('a Secret that is not there is made, and a later version takes the place of an earlier one', async () => {
    const dependent = { ...PUSHED, secret: 'made' };
    expect((await deliverer.sync(dependent, 'v-1', TEXT)).failure).toBeUndefined();
    const later = TEXT.replace('pushed-password', 'later-password');
    expect((await deliverer.sync(dependent, 'v-2', later)).failure).toBeUndefined();
    expect(await keysOf('made')).toEqual({ password: 'later-password-of-the-test' });
  });

  test('two catalog entries write different keys of one Secret, and the mapping of one may change', async () => {
    const password = { ...PUSHED, secret: 'both' };
    const token = { ...PUSHED, secret: 'both', keys: [{ key: 'token', field: 'token' }] };
    expect((await deliverer.sync(password, 'v-1', TEXT)).failure).toBeUndefined();
    expect((await deliverer.sync(token, 'v-1', TEXT)).failure).toBeUndefined();
    const wider = { ...password, keys: [...password.keys, { key: 'user', field: 'username' }] };
    const later = TEXT.replace('pushed-password', 'later-password');
    expect((await deliverer.sync(wider, 'v-2', later)).failure).toBeUndefined();
    expect(await keysOf('both')).toEqual({
      password: 'later-password-of-the-test',
      token: 'pushed-token',
      user: 'orders',
    });
  });

  test('when each of them came is told by its own keys, also when it is asked again', async () => {
    const password = { ...PUSHED, secret: 'each' };
    const token = { ...PUSHED, secret: 'each', keys: [{ key: 'token', field: 'token' }] };
    const changedAt = async (dependent: typeof PUSHED) => {
      const { result } = await deliverer.sync(dependent, 'v-1', TEXT);
      expect(result).toMatchObject({ came: true, changedAt: expect.any(Number) as number });
      return (result as { changedAt: number }).changedAt;
    };
    const first = await changedAt(password);
    // The API server notes times in whole seconds.
    await delay(1_100);
    const second = await changedAt(token);
    expect(second).toBeGreaterThan(first);
    expect(await changedAt(password)).toBe(first);
    expect(await changedAt(token)).toBe(second);
  });

  test('what is refused on the way back counts as taken back where the keys hold nothing of that version, and is named where they do', async () => {
    const password = { ...PUSHED, secret: 'shared' };
    const keys = [{ key: 'token', field: 'token' }];
    const token = { ...password, keys };
    await cluster.request('POST', path('').slice(0, -1), {
      metadata: { name: 'shared' },
      stringData: { token: 'of-somebody-else' },
    });
    expect((await deliverer.sync(password, 'v-1', TEXT)).failure).toBeUndefined();
    const found = await cluster.request<{ metadata: { resourceVersion: string } }>('GET', path('shared'));
    const undone = TEXT.replace('pushed-password', 'later-password').replace('pushed-token', 'later-token');
    const more = { back: { undoes: 'v-2', resourceVersion: found?.metadata.resourceVersion }, undone };
    expect((await deliverer.sync(password, 'v-2', undone)).failure).toBeUndefined();
    expect((await deliverer.sync(token, 'v-2', undone)).failure?.type).toBe(Cause.NotSynced);

    expect(await deliverer.sync(token, 'v-1', TEXT, more)).toMatchObject({ result: { untouched: false, came: false } });
    expect((await deliverer.sync(password, 'v-1', TEXT, more)).failure).toBeUndefined();
    expect(await keysOf('shared')).toEqual({ password: 'pushed-password-of-the-test', token: 'of-somebody-else' });
    // What AWSCURRENT is brought to once more has to get there.
    expect((await deliverer.sync(token, 'v-1', TEXT, { back: {} })).failure?.type).toBe(Cause.NotSynced);

    const data = { token: Buffer.from('later-token').toString('base64') };
    await cluster.request('PATCH', path('shared'), { data });
    const { failure } = await deliverer.sync(token, 'v-1', TEXT, more);
    expect(failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    // Where it is the same in both versions it is right.
    const wider = { ...token, keys: [...keys, { key: 'user', field: 'username' }] };
    const theirs = {
      token: Buffer.from('pushed-token').toString('base64'),
      user: Buffer.from('theirs').toString('base64'),
    };
    await cluster.request('PATCH', path('shared'), { data: theirs });
    const same = { ...more, undone: undone.replace('later-token', 'pushed-token') };
    expect((await deliverer.sync(wider, 'v-1', TEXT, same)).failure).toBeUndefined();
  });

  test('a version that lacks a mapped field was never written, also where the one before lacks it', async () => {
    const password = { ...PUSHED, secret: 'lacking' };
    const unmapped = { ...password, keys: [{ key: 'host', field: 'host' }] };
    expect((await deliverer.sync(password, 'v-1', TEXT)).failure).toBeUndefined();
    const { failure } = await deliverer.sync(unmapped, 'v-2', TEXT);
    expect(failure?.type).toBe(Cause.SecretUnusable);
    const taken = await deliverer.sync(unmapped, 'v-1', TEXT, { back: { undoes: 'v-2' }, undone: TEXT });
    expect(taken).toMatchObject({ result: { untouched: false, came: false } });
  });

  test('a Secret that cannot be changed says so without its value', async () => {
    await apply('fixed', { password: 'old' }, { immutable: true });
    const { failure } = await deliverer.sync(
      { ...PUSHED, secret: 'fixed', keys: [{ key: 'other', field: 'password' }] },
      'v-1',
      TEXT,
    );
    expect(failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(failure?.message).toMatch(/immutable/);
    expect(failure?.message).not.toContain('pushed-password');
  });

  test('a namespace that is not there', async () => {
    const { failure } = await deliverer.sync({ ...PUSHED, namespace: 'nowhere' }, 'v-1', TEXT);
    expect(failure).toMatchObject({ type: Cause.NotSynced, nonRetryable: true });
    expect(failure?.message).toContain('namespaces "nowhere" not found');
  });
});
