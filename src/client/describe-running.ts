import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { executionOf } from './rotation-report';

/** What the server knows of a workflow that runs now; `undefined` when none does under that ID. */
export async function describeRunning(
  client: Client,
  workflowId: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const execution = await client.workflow.getHandle(workflowId).describe();
    return executionOf(execution.status.name) === 'running' ? execution : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
