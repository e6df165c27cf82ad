import type { EcsServiceState } from '../src/activities/delivery/ecs-calls';
import { runInActivityScope } from '../src/activities/boundary/activity-scope';
import type { Cluster } from '../src/activities/delivery/kubernetes/cluster';
import type { KubernetesObject } from '../src/activities/delivery/kubernetes/objects';
import { pathOf } from '../src/activities/delivery/kubernetes/objects';
import { failure } from '../src/activities/failures';
import type { Check } from '../src/client/doctor/check';
import { checkEcsDependent } from '../src/client/doctor/ecs-check';
import { checkKubernetesDependent } from '../src/client/doctor/kubernetes-checks';
import type { Right } from '../src/activities/delivery/kubernetes/rights';
import { Cause } from '../src/rotation/errors';
import type { EcsDependent, KubernetesDependent } from '../src/rotation/dependents';

const SECRET = 'dev/orders';
const CANARY = 'canary-value-of-the-password';

describe('of a Kubernetes dependent the doctor says', () => {
  const DEPENDENT: KubernetesDependent = {
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
    syncTimeoutMs: 1_000,
    timeoutMs: 1_000,
  };
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const named = (name: string, more: object): KubernetesObject => ({ metadata: { name, generation: 1 }, ...more });
  const ready = (status: string) => ({
    status: { conditions: [{ type: 'Ready', status, reason: 'SecretSyncedError', message: 'could not get secret' }] },
  });
  const ES = '/apis/external-secrets.io/v1/namespaces/dev/externalsecrets/orders-db';
  const KUBERNETES_SECRET = '/api/v1/namespaces/dev/secrets/orders-db';
  const DEPLOYMENT = '/apis/apps/v1/namespaces/dev/deployments/api';
  const available = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
  const INVENTORY: Record<string, KubernetesObject | undefined> = {
    [ES]: named('orders-db', { spec: { refreshInterval: '1h' }, ...ready('True') }),
    [KUBERNETES_SECRET]: named('orders-db', { data: { PASSWORD: base64(CANARY) } }),
    [DEPLOYMENT]: named('api', { spec: { replicas: 1 }, status: available }),
  };

  interface Situation {
    /** What differs from a cluster where everything is in order. */
    objects?: Record<string, KubernetesObject | undefined>;
    dependent?: Partial<KubernetesDependent>;
    versions?: string[];
    denied?: (right: Right) => boolean;
    unreachable?: Error;
  }

  /** The cluster is a fake, so that it can be in any state. */
  function examined({ objects, dependent, versions = ['v1'], denied = () => false, unreachable }: Situation) {
    const inventory = { ...INVENTORY, ...objects };
    const changes = () => Promise.reject(new Error('the doctor changes nothing'));
    const asked: string[] = [];
    const fakeCluster: Cluster = {
      name: 'the cluster of context lab',
      mayI: (verb, object) => {
        asked.push(`${verb} ${pathOf(object, object.name)}`);
        return Promise.resolve(!denied({ verb, object } as Right));
      },
      read: <T extends KubernetesObject>(object: Parameters<Cluster['read']>[0]) =>
        Promise.resolve(inventory[pathOf(object, object.name)] as T | undefined),
      versionsOf: () => Promise.resolve(versions),
      list: () => Promise.resolve([]),
      listOne: changes,
      patch: changes,
      openWatch: changes,
    };
    const checks = runInActivityScope(() =>
      checkKubernetesDependent(
        {
          clusterOf: () => (unreachable ? Promise.reject(unreachable) : Promise.resolve(fakeCluster)),
          secrets: {
            inspect: () => Promise.resolve({ exists: true, labels: {} }),
            readCurrent: () => Promise.resolve({ versionId: 'v1', text: JSON.stringify({ password: CANARY }) }),
          },
        },
        SECRET,
        { ...DEPENDENT, ...dependent },
      ),
    );
    return { checks, asked };
  }

  async function dependentCheck(situation: Situation): Promise<Check | undefined> {
    const checks = await examined(situation).checks;
    expect(JSON.stringify(checks)).not.toContain(CANARY);
    return checks.find(({ name }) => name.startsWith('dependent'));
  }

  const PUT_IN_ORDER = `Put it in order first, or correct the catalog: a rotation of ${SECRET} would be rolled back.`;

  test('that everything is in order, and asks for exactly the rights of a delivery', async () => {
    const { checks, asked } = examined({});
    expect(await checks).toEqual([
      {
        name: `dependent dev/orders-db of ${SECRET}`,
        state: 'ok',
        found:
          'the ExternalSecret orders-db is synced, the Secret dev/orders-db holds AWSCURRENT, the Deployment dev/api is available',
      },
      {
        name: `rights for dev/orders-db of ${SECRET}`,
        state: 'ok',
        found: 'these credentials may do what a delivery needs in the cluster of context lab',
      },
    ]);
    expect(asked).toEqual([
      ...['get', 'list', 'watch'].map((verb) => `${verb} ${KUBERNETES_SECRET}`),
      ...['get', 'patch'].map((verb) => `${verb} ${ES}`),
      ...['get', 'patch', 'list', 'watch'].map((verb) => `${verb} ${DEPLOYMENT}`),
    ]);
  });

  test('that a ClusterExternalSecret needs the right to read the ExternalSecret that it keeps, by the name of that one', async () => {
    const source = '/apis/external-secrets.io/v1/clusterexternalsecrets/orders-db';
    const kept = ES.replace('orders-db', 'everywhere');
    const spec = { externalSecretName: 'everywhere', externalSecretSpec: { refreshInterval: '1h' } };
    const objects = { [source]: named('orders-db', { spec }), [kept]: INVENTORY[ES] };
    const { checks, asked } = examined({ objects, dependent: { sync: 'cluster-external-secret' } });
    expect((await checks).map(({ state }) => state)).toEqual(['ok', 'ok']);
    expect(asked.filter((right) => right.includes('externalsecrets'))).toEqual([
      `get ${source}`,
      `patch ${source}`,
      `get ${kept}`,
    ]);
  });

  test('which rights are missing', async () => {
    const checks = await examined({ denied: ({ verb }) => verb === 'patch' || verb === 'watch' }).checks;
    expect(checks.at(-1)).toEqual({
      name: `rights for dev/orders-db of ${SECRET}`,
      state: 'failed',
      found:
        'these credentials may not watch secrets dev/orders-db; patch externalsecrets dev/orders-db; patch, watch deployments dev/api in the cluster of context lab',
      todo: 'Grant it with a Role as in deploy/kubernetes/access.yaml, or run keyturn doctor with the kubeconfig of the worker.',
    });
  });

  test('that the cluster cannot be reached, and does not ask for rights', async () => {
    const unreachable = failure(Cause.TargetUnavailable, 'the cluster of context lab did not answer.');
    const [first, second] = await examined({ unreachable }).checks;
    expect(first).toMatchObject({ state: 'failed', found: 'the cluster of context lab did not answer.' });
    expect(first?.todo).toContain('Check KUBECONFIG');
    expect(second).toMatchObject({ state: 'skipped', found: 'needs the cluster' });
  });

  test.each<[string, Situation, Partial<Check>]>([
    [
      'that External Secrets Operator is missing',
      { versions: [] },
      { state: 'failed', found: expect.stringContaining('knows no such API group') as string, todo: PUT_IN_ORDER },
    ],
    [
      'that the ExternalSecret is missing',
      { objects: { [ES]: undefined } },
      { state: 'failed', found: expect.stringContaining('There is no ExternalSecret dev/orders-db') as string },
    ],
    [
      'why the ExternalSecret is not synced',
      { objects: { [ES]: named('orders-db', { spec: {}, ...ready('False') }) } },
      {
        state: 'failed',
        found: 'ExternalSecret dev/orders-db is not ready: SecretSyncedError: could not get secret',
        todo: PUT_IN_ORDER,
      },
    ],
    [
      'that the Secret is missing',
      { objects: { [KUBERNETES_SECRET]: undefined } },
      { state: 'failed', found: 'there is no Secret dev/orders-db' },
    ],
    [
      'that the Secret is missing, which a push creates',
      { dependent: { sync: 'push', restart: 'none' }, objects: { [KUBERNETES_SECRET]: undefined } },
      {
        state: 'ok',
        found:
          'the Secret dev/orders-db does not exist yet; the first rotation creates it, the Deployment dev/api is available',
      },
    ],
    [
      'that the Secret lacks a key',
      { objects: { [KUBERNETES_SECRET]: named('orders-db', { data: {} }) } },
      { state: 'failed', found: 'the Secret dev/orders-db has no key PASSWORD' },
    ],
    [
      'that the Secret holds something else than AWSCURRENT',
      { objects: { [KUBERNETES_SECRET]: named('orders-db', { data: { PASSWORD: base64('another') } }) } },
      {
        state: 'warning',
        found: 'the Secret dev/orders-db does not hold AWSCURRENT: its key PASSWORD holds another value',
      },
    ],
    [
      'that a workload is missing',
      { objects: { [DEPLOYMENT]: undefined } },
      { state: 'failed', found: 'there is no Deployment dev/api' },
    ],
    [
      'that a workload is paused',
      { objects: { [DEPLOYMENT]: named('api', { spec: { paused: true }, status: available }) } },
      {
        state: 'failed',
        found: 'the Deployment dev/api cannot be restarted: it is paused. Resume it (kubectl rollout resume)',
      },
    ],
    [
      'that a workload is not available',
      { objects: { [DEPLOYMENT]: named('api', { spec: { replicas: 2 }, status: available }) } },
      {
        state: 'warning',
        found: expect.stringMatching(/^the Deployment dev\/api is not available: of 2 pods/) as string,
      },
    ],
  ])('%s', async (_, situation, expected) => {
    expect(await dependentCheck(situation)).toMatchObject(expected);
  });

  test('that a push needs the right to create a Secret that is not there', async () => {
    const dependent: Partial<KubernetesDependent> = { sync: 'push', workloads: [], restart: 'none' };
    const { checks, asked } = examined({ dependent, objects: { [KUBERNETES_SECRET]: undefined } });
    await checks;
    expect(asked).toEqual(['get', 'patch', 'create'].map((verb) => `${verb} ${KUBERNETES_SECRET}`));
  });
});

describe('of an ECS dependent the doctor says', () => {
  const completed = {
    primary: true,
    createdAt: 1,
    rolloutState: 'COMPLETED',
    desired: 2,
    running: 2,
    pending: 0,
    failed: 0,
  };
  const steady: EcsServiceState = {
    desired: 2,
    running: 2,
    circuitBreaker: true,
    deployments: [completed],
    events: [],
  };

  /** ECS is a fake, so that its services can be in any state. */
  function examined(
    describe: (service: string) => Promise<EcsServiceState>,
    seePermitted: (service: string) => Promise<void> = () => Promise.resolve(),
  ) {
    const dependent: EcsDependent = {
      kind: 'ecs',
      name: 'main',
      cluster: 'main',
      services: ['api', 'worker'],
      timeoutMs: 1,
    };
    const fakeEcs = {
      describe: (_: string, service: string) => describe(service),
      seePermitted: (_: string, service: string) => seePermitted(service),
    };
    return runInActivityScope(() => checkEcsDependent(fakeEcs, SECRET, dependent));
  }

  test('that everything is in order, and that these credentials may deploy', async () => {
    expect(await examined(() => Promise.resolve(steady))).toEqual([
      { name: `dependent main of ${SECRET}`, state: 'ok', found: 'api: 2 of 2 tasks run; worker: 2 of 2 tasks run' },
      {
        name: `deployment of main of ${SECRET}`,
        state: 'ok',
        found: 'these credentials may deploy api, worker anew; none was started',
      },
    ]);
  });

  test('that these credentials may not deploy a service', async () => {
    const denied = failure(Cause.PermissionDenied, 'The worker may not call ecs:UpdateService of the service worker.');
    const checks = await examined(
      () => Promise.resolve(steady),
      (service) => (service === 'worker' ? Promise.reject(denied) : Promise.resolve()),
    );
    expect(checks).toMatchObject([
      { state: 'ok' },
      {
        name: `deployment of main of ${SECRET}`,
        state: 'failed',
        found: 'The worker may not call ecs:UpdateService of the service worker.',
        todo: 'Or run keyturn doctor with the role of the worker.',
      },
    ]);
  });

  test('that a deployment is under way, and that nothing but time ends a failing one', async () => {
    const deploying = {
      ...steady,
      running: 1,
      circuitBreaker: false,
      deployments: [{ ...completed, rolloutState: 'IN_PROGRESS' }, completed],
    };
    const [check] = await examined((service) => Promise.resolve(service === 'api' ? deploying : steady));
    expect(check).toMatchObject({
      state: 'warning',
      found:
        'api: 1 of 2 tasks run, a deployment is under way, without a deployment circuit breaker, so that a failing one shows by its timeout; worker: 2 of 2 tasks run',
    });
  });

  test('that a service is missing', async () => {
    const checks = await examined(() =>
      Promise.reject(failure(Cause.RolloutFailed, 'The ECS cluster main has no service api.')),
    );
    expect(checks).toEqual([
      {
        name: `dependent main of ${SECRET}`,
        state: 'failed',
        found: 'The ECS cluster main has no service api.',
        todo: `A rotation of ${SECRET} would be refused.`,
      },
      { name: `deployment of main of ${SECRET}`, state: 'skipped', found: 'needs the services' },
    ]);
  });
});
