import { ECSClient } from '@aws-sdk/client-ecs';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createEcsServices } from '../src/activities/delivery/ecs';
import { Cause, RotationFailure } from '../src/rotation/errors';
import { openEcsServices } from './testbed/ecs-services';
import type { EcsServices } from './testbed/ecs-services';
import { startScriptedEcs } from './testbed/scripted-ecs';
import type { ScriptedEcs, ToldService } from './testbed/scripted-ecs';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const CLUSTER = 'undoing-again';

let ecs: EcsServices;
let scripted: ScriptedEcs;
let client: ECSClient;
let bed: Testbed;
beforeAll(async () => {
  ecs = await openEcsServices(CLUSTER);
  scripted = await startScriptedEcs(process.env['AWS_ENDPOINT_URL'] ?? '');
  client = new ECSClient({ endpoint: scripted.endpoint, maxAttempts: 1 });
  bed = await openTestbed();
  bed.alsoStop(scripted);
  await bed.startWorker({ AWS_ENDPOINT_URL: scripted.endpoint });
});
afterAll(async () => {
  ecs.close();
  client.destroy();
  await bed.close();
});

const newest = ({ deployments }: ToldService, told: object) => Object.assign(deployments[0] ?? {}, told);
/** What ECS tells of a deployment that its circuit breaker has given up, and of one that is under way (ECS API Reference, 'Deployment'). */
const GIVEN_UP = {
  rolloutState: 'FAILED',
  rolloutStateReason: 'ECS deployment circuit breaker: tasks failed to start.',
};
const UNDER_WAY = { rolloutState: 'IN_PROGRESS', desiredCount: 2, runningCount: 0, pendingCount: 2 };

describe('a call that follows one that failed', () => {
  function deploy(service: string, about: { since: number; isAgain?: boolean }): Promise<unknown> {
    const environment = new MockActivityEnvironment(
      { attempt: 1, scheduledTimestampMs: Date.now() },
      { logger: new DefaultLogger('ERROR') },
    );
    const dependent = { kind: 'ecs' as const, name: 'app', cluster: CLUSTER, services: [service], timeoutMs: 1_500 };
    return environment.run(() => createEcsServices(client).deploy(dependent, service, about));
  }

  test('takes up the deployment that was not finished then', async () => {
    await ecs.create('slow');
    scripted.script('slow', { tell: (told) => newest(told, UNDER_WAY) });
    const since = Date.now();
    const failed = { type: Cause.RolloutFailed, message: expect.stringContaining('was not finished after') as string };
    await expect(deploy('slow', { since })).rejects.toMatchObject(failed);
    await expect(deploy('slow', { since, isAgain: true })).rejects.toMatchObject(failed);
    scripted.script('slow', {});
    await deploy('slow', { since, isAgain: true });
    expect(scripted.begun('slow')).toHaveLength(1);
  });

  test('starts another one where the first has failed', async () => {
    await ecs.create('broken');
    scripted.script('broken', { tell: (told, begun) => begun === 1 && newest(told, GIVEN_UP) });
    const since = Date.now();
    await expect(deploy('broken', { since })).rejects.toMatchObject({ type: Cause.RolloutFailed });
    await deploy('broken', { since, isAgain: true });
    expect(scripted.begun('broken')).toHaveLength(2);
  });
});

test('a rollback that is tried again deploys those services anew that are not back, and no other', async () => {
  await Promise.all(['api', 'late'].map((service) => ecs.create(service)));
  const dependents = [{ ecs: { cluster: CLUSTER, services: ['api', 'late'] } }];
  await bed.declare({ shared: { type: 'app-secret', dependents } });
  await bed.rotate('shared');
  const { current } = await bed.secrets.labels('shared');
  // The second is the new version's, and the third the old one's, which is tried twice more.
  scripted.script('late', { tell: (told, begun) => begun >= 2 && begun <= 4 && newest(told, GIVEN_UP) });
  expect(await failureOf(bed.rotate('shared'))).toMatchObject({ type: RotationFailure.RotationRolledBack });
  expect((await bed.secrets.labels('shared')).current).toBe(current);
  expect({ api: scripted.begun('api').length, late: scripted.begun('late').length }).toEqual({ api: 3, late: 5 });
});
