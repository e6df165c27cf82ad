import { openTestbed } from '../testbed/testbed';
import type { RecordedRun } from './fleet-recordings';

/** What schedules start while there is no catalog, by a name that tells nothing of the machine. */
export function refusalRecordings(): Record<string, () => Promise<RecordedRun>> {
  return {
    'front-door-refused': () =>
      refused('rotate', (environment) => `scheduled/rotation/${environment}/jwt`, { secret: 'jwt' }),
    'fleet-refused': () => refused('rotateEnvironment', (environment) => `fleet/${environment}`, { due: true }),
    'ages-that-cannot-be-looked-at': () => refused('checkSecretAges', (environment) => `scheduled/ages/${environment}`),
    'review-that-cannot-be-made': () =>
      refused('reviewEnvironment', (environment) => `scheduled/review/${environment}`),
    'uses-that-nobody-can-count': () => refused('watchUsageMetrics', (environment) => `scheduled/usage/${environment}`),
  };
}

async function refused(
  workflowType: string,
  workflowIdOf: (environment: string) => string,
  input: object = {},
): Promise<RecordedRun> {
  const bed = await openTestbed();
  const { client, taskQueue, environment } = bed;
  try {
    await bed.startWorker({ KEYTURN_CATALOG: '/dev/null' });
    const workflowId = workflowIdOf(environment);
    const args = [{ environment, requestedBy: 'schedule', ...input }];
    const handle = await client.workflow.start(workflowType, { workflowId, taskQueue, args });
    await handle.result().catch(() => undefined);
    return { workflowId, runId: handle.firstExecutionRunId, history: await handle.fetchHistory() };
  } finally {
    await bed.close();
  }
}
