import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCatalog } from '../src/catalog/catalog';
import type { RotationPlan } from '../src/rotation/plan';

const MINUTE_MS = 60_000;

/** The plan of a database secret `orders` that says this, in an environment that says that. */
function planOf(secret: string, environment = '', name = 'dev'): RotationPlan {
  const database = `type: database, strategy: single-user, ${secret}`;
  const text = `environments: { ${name}: { ${environment} secrets: { orders: { ${database} } } } }`;
  return parseCatalog('keyturn.yaml', text).plan(name, 'orders');
}

const dependentsOf = (secret: string, environment?: string) =>
  planOf(`dependents: [${secret}]`, environment).dependents;
const kubernetes = (written: string, environment?: string) =>
  dependentsOf(`{kubernetes: {${written}}}`, environment)[0];

const SYNCED = 'externalSecret: orders-db, keys: {PASSWORD: password}';

describe('a Kubernetes dependent', () => {
  test('is synced by an ExternalSecret in the namespace of the environment, and restarted, when it says only what it must', () => {
    expect(kubernetes(`${SYNCED}, workloads: [{deployment: api}]`)).toEqual({
      kind: 'kubernetes',
      name: 'dev/orders-db',
      namespace: 'dev',
      sync: 'external-secret',
      externalSecret: 'orders-db',
      secret: 'orders-db',
      keys: [{ key: 'PASSWORD', field: 'password' }],
      expect: 'version',
      workloads: [{ kind: 'Deployment', name: 'api' }],
      restart: 'rollout',
      waitFor: 'available',
      syncTimeoutMs: 10 * MINUTE_MS,
      timeoutMs: 10 * MINUTE_MS,
    });
  });

  test('has all that it may say', () => {
    const written = [
      'name: orders',
      'context: eu',
      'namespace: shop',
      'sync: cluster-external-secret',
      'externalSecret: all-orders',
      'secret: orders-db',
      'keys: [{key: all.json}, {key: user, field: username}]',
      'expect: any-change',
      'workloads: [{statefulSet: a}, {daemonSet: b}, {rollout: c}, {deployment: a}]',
      'restart: reloader',
      'waitFor: synced',
      'syncTimeout: 1 minute',
      'timeout: 2 minutes',
    ];
    expect(kubernetes(written.join(', '))).toEqual({
      kind: 'kubernetes',
      name: 'orders',
      context: 'eu',
      namespace: 'shop',
      sync: 'cluster-external-secret',
      externalSecret: 'all-orders',
      secret: 'orders-db',
      keys: [{ key: 'all.json' }, { key: 'user', field: 'username' }],
      expect: 'any-change',
      workloads: [
        { kind: 'StatefulSet', name: 'a' },
        { kind: 'DaemonSet', name: 'b' },
        { kind: 'Rollout', name: 'c' },
        { kind: 'Deployment', name: 'a' },
      ],
      restart: 'reloader',
      waitFor: 'synced',
      syncTimeoutMs: MINUTE_MS,
      timeoutMs: 2 * MINUTE_MS,
    });
  });

  test('can be written to without External Secrets Operator', () => {
    const pushed = kubernetes('sync: push, secret: orders-db, keys: {PASSWORD: password}');
    expect(pushed).toMatchObject({ sync: 'push', secret: 'orders-db', name: 'dev/orders-db' });
    expect(pushed).not.toHaveProperty('externalSecret');
  });

  test('without workloads, or with those that read their file again, waits for the Secret alone', () => {
    expect(kubernetes(SYNCED)).toMatchObject({ workloads: [], restart: 'none', waitFor: 'synced' });
    expect(kubernetes(`${SYNCED}, workloads: [{deployment: api}], restart: none`)).toMatchObject({
      workloads: [{ name: 'api' }],
      restart: 'none',
      waitFor: 'synced',
    });
  });

  test('has the workloads of the services that it names, each once', () => {
    const services =
      'services: {api: [{deployment: api}, {deployment: jobs}], worker: [{deployment: jobs}, {statefulSet: w}]},';
    expect(
      kubernetes(`${SYNCED}, workloads: [{service: api}, {service: worker}, {deployment: reports}]`, services),
    ).toMatchObject({
      workloads: [
        { kind: 'Deployment', name: 'api' },
        { kind: 'Deployment', name: 'jobs' },
        { kind: 'StatefulSet', name: 'w' },
        { kind: 'Deployment', name: 'reports' },
      ],
    });
  });
});

describe('an ECS dependent', () => {
  test('has ten minutes for each service and is called as its cluster, when it says only what it must', () => {
    const cluster = 'arn:aws:ecs:eu-central-1:123456789012:cluster/main';
    expect(dependentsOf(`{ecs: {cluster: "${cluster}", services: [api, worker]}}`)).toEqual([
      { kind: 'ecs', name: 'main', cluster, services: ['api', 'worker'], timeoutMs: 10 * MINUTE_MS },
    ]);
  });

  test('has all that it may say', () => {
    expect(dependentsOf('{ecs: {name: shop, cluster: main, services: [api], timeout: 1 minute}}')).toEqual([
      { kind: 'ecs', name: 'shop', cluster: 'main', services: ['api'], timeoutMs: MINUTE_MS },
    ]);
  });
});

describe('the delivery', () => {
  const two = `dependents: [{kubernetes: {${SYNCED}}}, {ecs: {cluster: main, services: [api]}}]`;

  test('is not in the plan when the catalog says nothing of it', () => {
    expect(planOf(two)).not.toHaveProperty('delivery');
  });

  test('brings the version to all dependents at once and restarts ten workloads at a time, unless it says otherwise', () => {
    expect(planOf(`${two}, delivery: {}`).delivery).toEqual({ inOrder: false, maxRestartsAtOnce: 10 });
    expect(planOf(`${two}, delivery: {order: in-order, maxRestartsAtOnce: 2}`).delivery).toEqual({
      inOrder: true,
      maxRestartsAtOnce: 2,
    });
    expect(planOf(two).dependents.map(({ name }) => name)).toEqual(['dev/orders-db', 'main']);
  });
});

test('the production example delivers to Kubernetes and ECS once its comment signs are removed', () => {
  const sample = readFileSync(join(__dirname, '../keyturn.yaml'), 'utf8');
  const [before, example] = sample.split(/(?<=environment\.\n)(?= {2}# production:)/);
  const catalog = parseCatalog('keyturn.yaml', `${before}${example?.replaceAll(/^ {2}# /gm, '  ')}`);
  const { dependents, delivery } = catalog.plan('production', 'database/orders');
  expect(dependents).toEqual([
    {
      kind: 'kubernetes',
      name: 'shop/orders-database',
      context: 'production-eu',
      namespace: 'shop',
      sync: 'external-secret',
      externalSecret: 'orders-database',
      secret: 'orders-database',
      keys: [
        { key: 'PGUSER', field: 'username' },
        { key: 'PGPASSWORD', field: 'password' },
      ],
      expect: 'version',
      workloads: [
        { kind: 'Deployment', name: 'shop-api' },
        { kind: 'StatefulSet', name: 'shop-worker' },
        { kind: 'Deployment', name: 'reports' },
      ],
      restart: 'rollout',
      waitFor: 'available',
      syncTimeoutMs: 10 * MINUTE_MS,
      timeoutMs: 10 * MINUTE_MS,
    },
    {
      kind: 'ecs',
      name: 'invoicing',
      cluster: 'invoicing',
      services: ['invoices', 'dunning'],
      timeoutMs: 10 * MINUTE_MS,
    },
  ]);
  expect(delivery).toEqual({ inOrder: true, maxRestartsAtOnce: 4 });
});
