import type { Deployment, ECSClient, Service } from '@aws-sdk/client-ecs';
import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { DeployInput } from '../src/activities/delivery/activities';
import { createEcsServices } from '../src/activities/delivery/ecs';
import type { DeployResult } from '../src/activities/delivery/ecs';
import { Cause, RotationFailure } from '../src/rotation/errors';
import { openEcsServices } from './testbed/ecs-services';
import type { EcsServices } from './testbed/ecs-services';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const CLUSTER = 'keyturn';

let ecs: EcsServices;
beforeAll(async () => {
  ecs = await openEcsServices(CLUSTER);
});
afterAll(() => ecs.close());

const createService = (service: string, deploymentController?: 'CODE_DEPLOY') =>
  ecs.create(service, deploymentController);
const deploymentOf = (service: string) => ecs.deploymentOf(service);

type Client = Pick<ECSClient, 'send'>;

/** What is told of a service once its new deployment began; the last answer is repeated. */
type FakeLook = (started: Deployment) => Partial<Service>;

/**
 * Starts deployments in moto, which never lets one with tasks end, and then tells of them what is scripted: what ECS itself would show
 * while it starts and stops tasks.
 */
function fakeRollout(looks: FakeLook[]) {
  const seen = { updates: 0, looks: 0 };
  let started: Deployment | undefined;
  const send = async (command: { constructor: { name: string } }) => {
    const answer = (await ecs.client.send(command as never)) as { service?: Service; services?: Service[] };
    if (command.constructor.name === 'UpdateServiceCommand') {
      seen.updates++;
      [started] = answer.service?.deployments ?? [];
      return answer;
    }
    if (!started) return answer;
    const look = looks[Math.min(seen.looks++, looks.length - 1)];
    return { services: [{ ...answer.services?.[0], ...look?.(started) }] };
  };
  return { client: { send } as unknown as Client, seen };
}

interface Attempt {
  client?: Client;
  attempt?: number;
  scheduledAt?: number;
  since?: number;
  timeoutMs?: number;
  cluster?: string;
}

function deployment(
  service: string,
  { client = ecs.client, attempt = 1, scheduledAt, since, timeoutMs, cluster }: Attempt = {},
) {
  const environment = new MockActivityEnvironment(
    { attempt, scheduledTimestampMs: scheduledAt ?? Date.now() },
    { logger: new DefaultLogger('ERROR') },
  );
  const dependent = {
    kind: 'ecs' as const,
    name: 'app',
    cluster: cluster ?? CLUSTER,
    services: [service],
    timeoutMs: timeoutMs ?? 60_000,
  };
  const done = environment.run(() => createEcsServices(client).deploy(dependent, service, { since }));
  done.catch(() => undefined);
  return { environment, done: done as Promise<DeployResult> };
}

const deploy = (service: string, attempt?: Attempt) => deployment(service, attempt).done;
const quoted = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const saying = (type: Cause, ...parts: string[]) => ({
  type,
  message: expect.stringMatching(new RegExp(parts.map(quoted).join('.*'))) as string,
});

const primary = (of: Deployment, changed: Partial<Deployment> = {}): Deployment => ({
  ...of,
  status: 'PRIMARY',
  desiredCount: 2,
  runningCount: 0,
  pendingCount: 2,
  failedTasks: 0,
  rolloutState: 'IN_PROGRESS',
  rolloutStateReason: `ECS deployment ${of.id} in progress.`,
  ...changed,
});
const before = (of: Deployment, changed: Partial<Deployment> = {}): Deployment => ({
  ...primary(of, { rolloutState: 'COMPLETED', runningCount: 2, pendingCount: 0 }),
  id: 'ecs-svc/before',
  status: 'ACTIVE',
  createdAt: new Date((of.createdAt?.getTime() ?? 0) - 3_600_000),
  ...changed,
});
const after = (of: Deployment, changed: Partial<Deployment> = {}): Deployment => ({
  ...primary(of, changed),
  id: 'ecs-svc/after',
  createdAt: new Date((of.createdAt?.getTime() ?? 0) + 1_000),
});
const completed = { rolloutState: 'COMPLETED', runningCount: 2, pendingCount: 0 } as const;

describe('a service', () => {
  test('gets a new deployment, and is done when that is complete', async () => {
    await createService('plain');
    const old = await deploymentOf('plain');
    await deploy('plain');
    expect((await deploymentOf('plain')).id).not.toBe(old.id);
  });

  test('is waited for until the new deployment is complete and the old one gone', async () => {
    await createService('slow');
    const { client, seen } = fakeRollout([
      (started) => ({ deployments: [before(started, { status: 'PRIMARY' })] }),
      (started) => ({ deployments: [primary(started), before(started)] }),
      (started) => ({ deployments: [primary(started, completed), before(started)] }),
      (started) => ({ deployments: [primary(started, completed)] }),
    ]);
    await deploy('slow', { client });
    expect(seen).toEqual({ updates: 1, looks: 4 });
  });

  test('is waited for also when one answer of DescribeServices is older than the one before', async () => {
    await createService('stale');
    const { client, seen } = fakeRollout([
      (started) => ({ deployments: [primary(started), before(started)] }),
      (started) => ({ deployments: [before(started, { status: 'PRIMARY' })] }),
      (started) => ({ deployments: [primary(started), before(started)] }),
      (started) => ({ deployments: [before(started, { status: 'PRIMARY' })] }),
      (started) => ({ deployments: [primary(started, completed)] }),
    ]);
    await deploy('stale', { client });
    expect(seen).toEqual({ updates: 1, looks: 5 });
  });

  test('behind a Classic Load Balancer, where ECS tells no state, is done when all its tasks run', async () => {
    await createService('classic');
    const silent = { rolloutState: undefined, rolloutStateReason: undefined };
    const { client, seen } = fakeRollout([
      (started) => ({ deployments: [primary(started, { ...silent, runningCount: 1, pendingCount: 1 })] }),
      (started) => ({ deployments: [primary(started, { ...silent, runningCount: 2, pendingCount: 0 })] }),
    ]);
    await deploy('classic', { client });
    expect(seen.looks).toBe(2);
  });

  test('that somebody else deploys meanwhile is done with that deployment, whose tasks read the new version too', async () => {
    await createService('shared');
    const { client, seen } = fakeRollout([
      (started) => ({ deployments: [after(started), before(primary(started), { createdAt: started.createdAt })] }),
      (started) => ({ deployments: [after(started, completed)] }),
    ]);
    await deploy('shared', { client });
    expect(seen).toEqual({ updates: 1, looks: 2 });
  });
});

describe('an attempt that follows another', () => {
  test('takes up the deployment that the first one started', async () => {
    await createService('retried');
    const scheduledAt = Date.now();
    await deploy('retried', { scheduledAt });
    const started = await deploymentOf('retried');
    await deploy('retried', { attempt: 2, scheduledAt });
    expect((await deploymentOf('retried')).id).toBe(started.id);
  });

  test('takes it up also as a new activity of the same delivery, which auditing had made necessary', async () => {
    await createService('audited');
    const since = Date.now();
    await deploy('audited', { since, scheduledAt: since });
    const started = await deploymentOf('audited');
    await deploy('audited', { since, scheduledAt: since + 5_000 });
    expect((await deploymentOf('audited')).id).toBe(started.id);
  });

  test('starts a deployment when the first one could not', async () => {
    await createService('again');
    const old = await deploymentOf('again');
    await until('time has passed', () => Promise.resolve(Date.now() > (old.createdAt?.getTime() ?? 0)));
    await deploy('again', { attempt: 2, scheduledAt: Date.now() });
    expect((await deploymentOf('again')).id).not.toBe(old.id);
  });

  test('starts no second deployment after a lost answer', async () => {
    await createService('lost');
    const scheduledAt = Date.now();
    let updates = 0;
    const losing = {
      send: async (command: { constructor: { name: string } }) => {
        const answer: unknown = await ecs.client.send(command as never);
        if (command.constructor.name !== 'UpdateServiceCommand') return answer;
        updates++;
        throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
      },
    } as unknown as Client;
    await expect(deploy('lost', { client: losing, scheduledAt })).rejects.toMatchObject(
      saying(Cause.TargetUnavailable, 'ECS did not answer UpdateService of the service lost', 'TimeoutError'),
    );
    await deploy('lost', { client: losing, attempt: 2, scheduledAt });
    expect(updates).toBe(1);
  });

  test('fails when the deployment that the first one started has failed', async () => {
    await createService('broken');
    const scheduledAt = Date.now();
    const { client } = fakeRollout([
      (started) => ({
        deployments: [
          after(started, completed),
          primary(started, { status: 'ACTIVE', rolloutState: 'FAILED', rolloutStateReason: 'tasks failed to start.' }),
        ],
      }),
    ]);
    const failure = saying(Cause.RolloutFailed, 'failed: tasks failed to start. Look');
    await expect(deploy('broken', { client, scheduledAt })).rejects.toMatchObject(failure);
    await expect(deploy('broken', { client, scheduledAt, attempt: 2 })).rejects.toMatchObject(failure);
  });
});

describe('a deployment that does not get there is told with its cause:', () => {
  test("ECS's circuit breaker gave it up", async () => {
    await createService('given-up');
    const { client } = fakeRollout([
      (started) => ({ deployments: [primary(started, { failedTasks: 2 }), before(started)] }),
      (started) => ({
        deployments: [
          primary(started, {
            rolloutState: 'FAILED',
            rolloutStateReason: 'ECS deployment circuit breaker: tasks failed to start.',
          }),
          before(started),
        ],
        events: [
          { message: '(service given-up) is unable to start tasks.', createdAt: started.createdAt },
          { message: '(service given-up) has reached a steady state.', createdAt: new Date(0) },
        ],
      }),
    ]);
    const failed = deploy('given-up', { client });
    await expect(failed).rejects.toMatchObject(
      saying(
        Cause.RolloutFailed,
        `The new deployment of the service given-up of the ECS cluster ${CLUSTER} failed: ECS deployment circuit breaker: tasks failed to start. `,
        'ECS says: (service given-up) is unable to start tasks. Look at why',
      ),
    );
    await expect(failed).rejects.toMatchObject({ nonRetryable: true });
  });

  test("ECS's circuit breaker went back to what ran before", async () => {
    await createService('back');
    const reason = 'ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.';
    const { client } = fakeRollout([(started) => ({ deployments: [after(started, { rolloutStateReason: reason })] })]);
    await expect(deploy('back', { client })).rejects.toMatchObject(
      saying(Cause.RolloutFailed, 'rolling back to deploymentId ecs-svc/1. '),
    );
  });

  test('the deployment vanished and the old one is back', async () => {
    await createService('vanished');
    const { client } = fakeRollout([
      (started) => ({ deployments: [primary(started), before(started)] }),
      (started) => ({ deployments: [before(started, { status: 'PRIMARY' })] }),
    ]);
    await expect(deploy('vanished', { client })).rejects.toMatchObject(
      saying(Cause.RolloutFailed, 'ECS went back to the deployment before it'),
    );
  });

  test('time ran out', async () => {
    await createService('never');
    const { client } = fakeRollout([
      (started) => ({ deployments: [primary(started, { failedTasks: 3, runningCount: 1 }), before(started)] }),
    ]);
    await expect(deploy('never', { client, timeoutMs: 1_500 })).rejects.toMatchObject(
      saying(
        Cause.RolloutFailed,
        'was not finished after 1 s: it is IN_PROGRESS, 1 of 2 tasks run, 3 failed to start, and an older deployment is still there.',
        'allow more time with timeout',
      ),
    );
  });
});

describe('what cannot be deployed is told before anything is started:', () => {
  test('a cluster that does not exist', async () => {
    await expect(deploy('plain', { cluster: 'nowhere' })).rejects.toMatchObject(
      saying(Cause.RolloutFailed, "There is no ECS cluster nowhere in the worker's account and region."),
    );
  });

  test('a service that does not exist', async () => {
    await expect(deploy('nobody')).rejects.toMatchObject(
      saying(Cause.RolloutFailed, `The ECS cluster ${CLUSTER} has no service nobody. No deployment was started.`),
    );
  });

  test('a service that was deleted', async () => {
    await createService('gone');
    await ecs.delete('gone');
    await expect(deploy('gone')).rejects.toMatchObject(
      saying(Cause.RolloutFailed, `The service gone of the ECS cluster ${CLUSTER} is INACTIVE: it was deleted.`),
    );
  });

  test('a service that CodeDeploy deploys', async () => {
    await createService('blue-green', 'CODE_DEPLOY');
    await expect(deploy('blue-green')).rejects.toMatchObject(
      saying(Cause.RolloutFailed, 'is deployed by CODE_DEPLOY', 'No deployment was started.'),
    );
  });

  test.each([
    ['AccessDeniedException', 400, Cause.PermissionDenied, 'The worker may not call ecs:DescribeServices'],
    ['ThrottlingException', 400, Cause.Throttled, 'ECS throttles DescribeServices of the service plain'],
    ['ServiceNotActiveException', 400, Cause.RolloutFailed, 'is being deleted or was deleted'],
    ['InvalidParameterException', 400, Cause.RolloutFailed, 'refuses DescribeServices'],
    ['ServerException', 500, Cause.TargetUnavailable, 'ECS did not answer DescribeServices'],
  ])('%s', async (name, httpStatusCode, type, message) => {
    const refusal = Object.assign(new Error('quotes a request'), { name, $metadata: { httpStatusCode } });
    const fakeRefusing = { send: () => Promise.reject(refusal) } as unknown as Client;
    const failed = deploy('plain', { client: fakeRefusing });
    await expect(failed).rejects.toMatchObject(saying(type, message));
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('quotes') as string });
  });
});

test('a cancelled wait ends at once', async () => {
  await createService('cancelled');
  const { client, seen } = fakeRollout([(started) => ({ deployments: [primary(started), before(started)] })]);
  const { environment, done } = deployment('cancelled', { client });
  await until('it waits', () => Promise.resolve(seen.looks > 0));
  environment.cancel();
  await expect(done).rejects.toBeInstanceOf(CancelledFailure);
  const { looks } = seen;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(seen.looks).toBe(looks);
});

describe('a rotation', () => {
  let bed: Testbed;
  beforeAll(async () => {
    bed = await openTestbed();
    await bed.startWorker();
  });
  afterAll(() => bed.close());

  const declare = (secret: string, services: string[], more: object = {}) =>
    bed.declare({ [secret]: { type: 'app-secret', dependents: [{ ecs: { cluster: CLUSTER, services } }], ...more } });

  test('has every service deployed anew', async () => {
    await Promise.all([createService('api'), createService('worker')]);
    const before = await Promise.all([deploymentOf('api'), deploymentOf('worker')]);
    await declare('shared', ['api', 'worker']);
    expect(await bed.rotate('shared')).toMatchObject({ outcome: 'rotated' });
    const after = await Promise.all([deploymentOf('api'), deploymentOf('worker')]);
    after.forEach(({ id }, index) => expect(id).not.toBe(before[index]?.id));
  });

  test('is refused before anything changes when a service is missing', async () => {
    await declare('nowhere', ['never-made']);
    expect(await failureOf(bed.rotate('nowhere'))).toMatchObject({
      type: RotationFailure.RotationRefused,
      message: expect.stringContaining(`The ECS cluster ${CLUSTER} has no service never-made.`) as string,
    });
    await expect(bed.secrets.labels('nowhere')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  test('is rolled back when a service is deleted for good, which is named; the others are begun no more, and deployed with the old version', async () => {
    await createService('present');
    await declare('astray', ['present']);
    await bed.rotate('astray');
    const { current } = await bed.secrets.labels('astray');
    const before = await deploymentOf('present');

    await createService('late');
    await declare('astray', ['late', 'present'], { delivery: { maxRestartsAtOnce: 1 } });
    const point = { secretId: bed.secrets.idOf('astray'), step: 'promote', when: 'after' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('astray');
    await bed.pauses.reached(point);
    await ecs.delete('late');
    await bed.pauses.goOn(point);
    expect(await failureOf(handle.result())).toMatchObject({
      type: RotationFailure.RotationRolledBack,
      message: expect.stringContaining(`The service late of the ECS cluster ${CLUSTER} is INACTIVE`) as string,
      details: {
        warnings: [
          `There is no service late of the ECS cluster ${CLUSTER} any more, so that it was not given the old version again.`,
        ],
      },
    });
    expect((await bed.secrets.labels('astray')).current).toBe(current);
    expect((await deploymentOf('present')).id).not.toBe(before.id);
    const { events } = await handle.fetchHistory();
    const deployed = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'deployToEcs'
        ? (JSON.parse(Buffer.from(scheduled.input?.payloads?.[0]?.data ?? []).toString()) as DeployInput)
        : [],
    );
    const servicesOf = (version?: string) =>
      deployed.flatMap(({ versionId, service }) => (versionId === version ? service : [])).sort();
    expect(servicesOf(handle.firstExecutionRunId)).toEqual(['late']);
    expect(servicesOf(current)).toEqual(['late', 'present']);
  });
});
