import type { AgesReport } from '../../src/rotation/ages';
import type { Testbed } from './testbed';

/** Has a worker look how old the secrets of the testbed's environment are, without telling anybody. Once for each testbed. */
export async function checkAges({ client, taskQueue, environment }: Testbed): Promise<AgesReport> {
  return client.workflow.execute<(input: object) => Promise<AgesReport>>('checkSecretAges', {
    workflowId: `ages-${environment}`,
    taskQueue,
    args: [{ environment, tell: false }],
  });
}
