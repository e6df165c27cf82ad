import type { Client } from '@temporalio/client';
import { ROTATION_WORKFLOWS, SEARCH_ATTRIBUTES } from '../rotation/names';
import type { RunningRotation } from './rotation-report';
import { PHASE } from './start-options';

/** The workflow type that goes back to AWSPREVIOUS; it runs under the rotation's own ID, so the two exclude each other. */
export const ROLLBACK_WORKFLOW = 'rollbackSecret';

const WORKFLOW_TYPES: string[] = [...Object.values(ROTATION_WORKFLOWS), ROLLBACK_WORKFLOW];

/**
 * The rotations that run now, oldest first, as visibility knows it: one shows up about a second after its start.
 *
 * @param environment of all environments when absent.
 */
export async function listRunning(client: Client, taskQueue: string, environment?: string): Promise<RunningRotation[]> {
  const types = WORKFLOW_TYPES.map((type) => `'${type}'`).join(', ');
  const query = [
    `TaskQueue = '${taskQueue}' AND ExecutionStatus = 'Running' AND WorkflowType IN (${types})`,
    ...(environment === undefined ? [] : [`${SEARCH_ATTRIBUTES.environment} = '${environment.replaceAll("'", '')}'`]),
  ].join(' AND ');
  const found: RunningRotation[] = [];
  for await (const execution of client.workflow.list({ query })) {
    found.push({
      secretId: execution.workflowId.replace(/^rotation\//, ''),
      workflowId: execution.workflowId,
      runId: execution.runId,
      workflowType: execution.type,
      startedAt: execution.startTime.toISOString(),
      phase: execution.typedSearchAttributes.get(PHASE),
    });
  }
  return found.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}
