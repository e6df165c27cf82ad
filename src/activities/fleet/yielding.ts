import { WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowClient } from '@temporalio/client';
import { Cause } from '../../rotation/errors';
import type { FleetStatus } from '../../rotation/fleet';
import { fleetWorkflowId } from '../../rotation/names';
import { failure } from '../failures';

/**
 * Lets an ordinary fleet begin only while no emergency of the environment runs. One that begins afterwards finds the ordinary fleet running,
 * and stops it.
 *
 * @throws AlreadyRunning
 */
export async function yieldToEmergency(
  workflows: Pick<WorkflowClient, 'getHandle'>,
  environment: string,
): Promise<void> {
  const handle = workflows.getHandle(fleetWorkflowId({ environment, emergency: true }));
  const running = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  if (running?.status.name !== 'RUNNING' && running?.status.name !== 'PAUSED') return;
  const status = await handle.query<FleetStatus>('status').catch(() => undefined);
  const since = status?.startedAt ?? running.startTime.toISOString();
  const by = status?.requestedBy ? `, started by ${status.requestedBy}` : '';
  const why = status?.reason ? ` (${status.reason})` : '';
  throw failure(
    Cause.AlreadyRunning,
    `an emergency of ${environment} runs since ${since}${by}${why}, and goes first. Start this one again when that has ended: keyturn status ${environment} --follow`,
  );
}
