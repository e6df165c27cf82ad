import { ECSClient } from '@aws-sdk/client-ecs';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createEcsServices } from '../src/activities/delivery/ecs';
import type { DeployResult } from '../src/activities/delivery/ecs';
import { Cause, RotationFailure } from '../src/rotation/errors';
import { openEcsServices } from './testbed/ecs-services';
import type { EcsServices } from './testbed/ecs-services';
import { startScriptedEcs } from './testbed/scripted-ecs';
import type { Script, ScriptedEcs, ToldService } from './testbed/scripted-ecs';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const CLUSTER = 'undoing';
const HOUR_S = 3_600;

let ecs: EcsServices;
let scripted: ScriptedEcs;
let client: ECSClient;
beforeAll(async () => {
  ecs = await openEcsServices(CLUSTER);
  scripted = await startScriptedEcs(process.env['AWS_ENDPOINT_URL'] ?? '');
  client = new ECSClient({ endpoint: scripted.endpoint, maxAttempts: 1 });
});
afterAll(async () => {
  ecs.close();
  client.destroy();
  await scripted.stop();
});

const noUpdates: Script['denies'] = (operation) => operation === 'UpdateService';
const nowInSeconds = () => Date.now() / 1_000;

/** A service whose tasks have all been there for an hour. */
function tellOld({ deployments }: ToldService): void {
  for (const deployment of deployments) deployment['createdAt'] = nowInSeconds() - HOUR_S;
}

const command = (service: string) =>
  `aws ecs update-service --cluster ${CLUSTER} --service ${service} --force-new-deployment`;

describe('undoing the delivery to a service', () => {
  const rotationBegan = Date.now();

  function deploy(service: string, undoing?: { rotationBegan: number }, cluster = CLUSTER): Promise<DeployResult> {
    const environment = new MockActivityEnvironment(
      { attempt: 1, scheduledTimestampMs: Date.now() },
      { logger: new DefaultLogger('ERROR') },
    );
    const dependent = { kind: 'ecs' as const, name: 'app', cluster, services: [service], timeoutMs: 10_000 };
    return environment.run(() =>
      createEcsServices(client).deploy(dependent, service, { undoing }),
    ) as Promise<DeployResult>;
  }
  const undo = (service: string, cluster?: string) => deploy(service, { rotationBegan }, cluster);

  test('deploys it anew', async () => {
    await ecs.create('there');
    expect(await undo('there')).toEqual({ gone: false });
    expect(scripted.begun('there')).toHaveLength(1);
  });

  test.each(['deleted', 'never-made'])('that is %s finds it gone, where going forward fails', async (service) => {
    if (service === 'deleted') {
      await ecs.create(service);
      await ecs.delete(service);
    }
    expect(await undo(service)).toEqual({ gone: true });
    await expect(deploy(service)).rejects.toMatchObject({ type: Cause.RolloutFailed });
  });

  test('finds it gone with its cluster', async () => {
    expect(await undo('any', 'nowhere')).toEqual({ gone: true });
  });

  test('finds it gone when it is deleted while its deployment is waited for', async () => {
    await ecs.create('midway');
    scripted.script('midway', { tell: (told, begun) => begun > 0 && (told.status = 'DRAINING') });
    expect(await undo('midway')).toEqual({ gone: true });
  });

  test('says what to type when the deployment is refused and tasks may have started meanwhile', async () => {
    await ecs.create('refused');
    const message = '(service refused) has started 1 tasks: (task 1).';
    scripted.script('refused', {
      denies: noUpdates,
      tell(told) {
        tellOld(told);
        told.events = [{ id: '1', createdAt: nowInSeconds(), message }];
      },
    });
    await expect(undo('refused')).rejects.toMatchObject({
      type: Cause.NotRestarted,
      message: expect.stringMatching(
        new RegExp(`^The worker may not call ecs:UpdateService of the service refused .* ${command('refused')}$`),
      ) as string,
    });
    await expect(deploy('refused')).rejects.toMatchObject({ type: Cause.PermissionDenied });
  });

  test('says it also when it may not even look', async () => {
    await ecs.create('unseen');
    scripted.script('unseen', { denies: () => true });
    await expect(undo('unseen')).rejects.toMatchObject({
      type: Cause.NotRestarted,
      message: expect.stringContaining(command('unseen')) as string,
    });
  });

  test('needs nothing when the deployment is refused and no task has started since the rotation began', async () => {
    await ecs.create('untouched');
    const message = '(service untouched) has reached a steady state.';
    scripted.script('untouched', {
      denies: noUpdates,
      tell(told) {
        tellOld(told);
        told.events = [{ id: '1', createdAt: nowInSeconds(), message }];
      },
    });
    expect(await undo('untouched')).toEqual({ gone: false });
  });
});

describe('a rotation', () => {
  let bed: Testbed;
  beforeAll(async () => {
    bed = await openTestbed();
    await bed.startWorker({ AWS_ENDPOINT_URL: scripted.endpoint });
  });
  afterAll(() => bed.close());

  /** Rotates it once, so that there is something to go back to. */
  async function rotated(secret: string): Promise<string | undefined> {
    await ecs.create(secret);
    await bed.declare({
      [secret]: { type: 'app-secret', dependents: [{ ecs: { cluster: CLUSTER, services: [secret] } }] },
    });
    await bed.rotate(secret);
    return (await bed.secrets.labels(secret)).current;
  }

  /** What ECS tells of a deployment that its circuit breaker has given up (ECS API Reference, 'Deployment'). */
  const GIVEN_UP = {
    rolloutState: 'FAILED',
    rolloutStateReason: 'ECS deployment circuit breaker: tasks failed to start.',
    failedTasks: 2,
  };

  test("whose deployment ECS's circuit breaker gives up is rolled back, and the service is deployed with the old version", async () => {
    const current = await rotated('given-up');
    scripted.script('given-up', {
      tell: ({ deployments }, begun) => begun === 2 && Object.assign(deployments[0] ?? {}, GIVEN_UP),
    });
    expect(await failureOf(bed.rotate('given-up'))).toMatchObject({
      type: RotationFailure.RotationRolledBack,
      message: expect.stringContaining('ECS deployment circuit breaker: tasks failed to start') as string,
      details: { step: 'deliver', cause: { type: Cause.RolloutFailed } },
    });
    expect((await bed.secrets.labels('given-up')).current).toBe(current);
    const begun = scripted.begun('given-up');
    expect(begun).toHaveLength(3);
    expect((await ecs.deploymentOf('given-up')).id).toBe(begun[2]);
  });

  test('that may not take a delivery back ends after a few tries, and says what to type', async () => {
    const current = await rotated('left');
    scripted.script('left', {
      denies: (operation, begun) => operation === 'UpdateService' && begun === 2,
      tell: ({ deployments }, begun) => begun === 2 && Object.assign(deployments[0] ?? {}, GIVEN_UP),
    });
    expect(await failureOf(bed.rotate('left'))).toMatchObject({
      type: RotationFailure.RollbackIncomplete,
      details: {
        cause: { type: Cause.RolloutFailed },
        leftToDo: [
          {
            step: 'deliver',
            cause: { type: Cause.NotRestarted, message: expect.stringContaining(command('left')) as string },
          },
        ],
      },
    });
    expect((await bed.secrets.labels('left')).current).toBe(current);
  });

  test('that loses the right to deploy before it has deployed anything is rolled back', async () => {
    const current = await rotated('lost');
    scripted.script('lost', { tell: tellOld });
    const point = { secretId: bed.secrets.idOf('lost'), step: 'promote', when: 'after' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('lost');
    await bed.pauses.reached(point);
    scripted.script('lost', { tell: tellOld, denies: noUpdates });
    await bed.pauses.goOn(point);
    expect(await failureOf(handle.result())).toMatchObject({
      type: RotationFailure.RotationRolledBack,
      details: { step: 'deliver', cause: { type: Cause.PermissionDenied } },
    });
    expect((await bed.secrets.labels('lost')).current).toBe(current);
    expect(scripted.begun('lost')).toHaveLength(1);
  });
});
