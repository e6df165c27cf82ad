import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { WorkflowHandle } from '@temporalio/client';
import { rotationWorkflowId } from '../src/rotation/names';
import { builtWorkflowBundle } from '../src/runtime/workflow-bundles';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const SECRETS = Array.from({ length: 16 }, (_, n) => `database/queried-${n}`);
const ASKERS = 3;

let bed: Testbed;

beforeAll(async () => {
  const logging = { filter: { core: 'ERROR', other: 'ERROR' } } as const;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  bed = await openTestbed();
  await bed.startWorker();
  await Promise.all(SECRETS.map((secret) => bed.databases.alternatingUsers(secret)));
});
afterAll(() => bed.close());

/** Asks again and again where a rotation stands, as those do who follow it. */
async function rotateUnderQueries(secret: string): Promise<WorkflowHandle> {
  const handle = await bed.start(secret, { gracePeriod: '1 second' });
  let ended = false;
  const ask = async () => {
    while (!ended) await handle.query('status').catch(() => undefined);
  };
  const askers = Array.from({ length: ASKERS }, ask);
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  ended = true;
  await Promise.all(askers);
  return handle;
}

test('rotations that are asked all the time where they stand are taken up by other workers', async () => {
  const handles = await Promise.all(SECRETS.map(rotateUnderQueries));
  for (const [n, handle] of handles.entries()) {
    const workflowId = rotationWorkflowId(bed.environment, SECRETS[n] ?? '');
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: builtWorkflowBundle('plain') }, history, workflowId);
  }
}, 240_000);
