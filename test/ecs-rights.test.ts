import { DescribeServicesCommand } from '@aws-sdk/client-ecs';
import type { ECSClient } from '@aws-sdk/client-ecs';
import { createEcsCalls } from '../src/activities/delivery/ecs-calls';
import { Cause, RotationFailure } from '../src/rotation/errors';
import { openEcsServices } from './testbed/ecs-services';
import type { EcsServices } from './testbed/ecs-services';
import { startScriptedEcs } from './testbed/scripted-ecs';
import type { ScriptedEcs } from './testbed/scripted-ecs';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const CLUSTER = 'rights';

let ecs: EcsServices;
let scripted: ScriptedEcs;
let bed: Testbed;
beforeAll(async () => {
  ecs = await openEcsServices(CLUSTER);
  scripted = await startScriptedEcs(process.env['AWS_ENDPOINT_URL'] ?? '');
  bed = await openTestbed();
  bed.alsoStop(scripted);
  await bed.startWorker({ AWS_ENDPOINT_URL: scripted.endpoint });
});
afterAll(async () => {
  await bed.close();
  ecs.close();
});

test('a worker that may not start deployments has its rotation refused before anything changes', async () => {
  await ecs.create('denied');
  scripted.script('denied', { denies: (operation) => operation === 'UpdateService' });
  await bed.declare({
    denied: { type: 'app-secret', dependents: [{ ecs: { cluster: CLUSTER, services: ['denied'] } }] },
  });
  expect(await failureOf(bed.rotate('denied'))).toMatchObject({
    type: RotationFailure.RotationRefused,
    message: expect.stringContaining(
      `The worker may not call ecs:UpdateService of the service denied (cluster ${CLUSTER}) (AccessDeniedException).`,
    ) as string,
    details: { cause: { type: Cause.PermissionDenied } },
  });
  await expect(bed.secrets.labels('denied')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});

describe('a look at the right to start deployments', () => {
  test('starts none', async () => {
    await ecs.create('looked-at');
    const before = await ecs.client.send(new DescribeServicesCommand({ cluster: CLUSTER, services: ['looked-at'] }));
    await createEcsCalls(ecs.client).seePermitted(CLUSTER, 'looked-at');
    const after = await ecs.client.send(new DescribeServicesCommand({ cluster: CLUSTER, services: ['looked-at'] }));
    expect(after.services).toEqual(before.services);
  });

  test.each([
    ['AccessDeniedException', 400, Cause.PermissionDenied],
    ['ThrottlingException', 400, Cause.Throttled],
    ['ServerException', 500, Cause.TargetUnavailable],
  ])('fails with %s', async (name, httpStatusCode, type) => {
    await expect(seen(name, httpStatusCode)).rejects.toMatchObject({ type });
  });

  test('is content with a refusal for another reason, which comes after the right was looked at', async () => {
    await seen('InvalidParameterException', 400);
  });

  function seen(name: string, httpStatusCode: number): Promise<void> {
    const refusal = Object.assign(new Error('no'), { name, $metadata: { httpStatusCode } });
    const fakeRefusing = { send: () => Promise.reject(refusal) } as unknown as Pick<ECSClient, 'send'>;
    return createEcsCalls(fakeRefusing).seePermitted(CLUSTER, 'any');
  }
});
