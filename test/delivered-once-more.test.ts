import type { RestartInput } from '../src/activities/delivery/activities';
import { openFakeDeliveries } from './testbed/fake-deliveries';
import type { FakeDeliveries } from './testbed/fake-deliveries';
import { DEPENDENT } from './testbed/kubernetes';

let fakes: FakeDeliveries;
beforeAll(async () => {
  fakes = await openFakeDeliveries();
});
afterAll(() => fakes.close());

test.each([true, false])('a restart is told whether the Secret had lost AWSCURRENT: %s', async (came) => {
  const restarts: RestartInput[] = [];
  const handle = await fakes.start({
    workflow: 'deliverSecret',
    dependents: [{ ...DEPENDENT, workloads: [{ kind: 'Deployment', name: 'orders' }] }],
    outside: {
      syncToKubernetes: ({ back }) => Promise.resolve({ came: came && back?.onceMore?.seen === 'seen' }),
      restartWorkload: (input) => Promise.resolve(void restarts.push(input)),
    },
  });
  expect(await handle.result()).toMatchObject({ outcome: 'delivered' });
  const onceMore = { by: handle.firstExecutionRunId, seen: 'seen', came };
  expect(restarts).toMatchObject([{ back: { onceMore } }]);
});
