import { isGrpcServiceError, ServiceError, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { WorkflowClient } from '@temporalio/client';
import { EVENT_WORKFLOW, eventWorkflowId } from '../../rotation/events';
import type { KeyturnEvent } from '../../rotation/events';
import { PRIORITY } from '../../rotation/priority';

/** gRPC, 'Status codes and their use in gRPC': it is so however often it is tried. */
const INVALID_ARGUMENT = 3;

/** What came of an event; `left` when Temporal will never take it. */
export type StartedEvent = { workflowId: string; started: boolean } | { left: string };

/**
 * Starts `handleEvent` for an event; for one that was started before, whether it still runs or not, nothing.
 *
 * @returns its workflow ID, and whether it was started now; or why it cannot be started at all.
 * @throws Temporal's errors; then nothing is known of whether it was started, and starting it again is safe.
 */
export async function startEvent(
  workflows: Pick<WorkflowClient, 'start'>,
  taskQueue: string,
  event: KeyturnEvent,
  id: string,
): Promise<StartedEvent> {
  const workflowId = eventWorkflowId(event, id);
  try {
    await workflows.start(EVENT_WORKFLOW, {
      workflowId,
      taskQueue,
      args: [event],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: summaryOf(event),
      ...(event.kind === 'leak' && { priority: PRIORITY.emergency }),
    });
    return { workflowId, started: true };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return { workflowId, started: false };
    const cause = error instanceof ServiceError ? error.cause : error;
    if (isGrpcServiceError(cause) && Number(cause.code) === INVALID_ARGUMENT) {
      return { left: `Temporal refuses a workflow for it: ${cause.details}` };
    }
    throw error;
  }
}

function summaryOf(event: KeyturnEvent): string {
  switch (event.kind) {
    case 'leak':
      return `${event.environment}/${event.secret} is said to have leaked`;
    case 'foreign-change':
      return `${event.operation} on ${event.environment}/${event.secret} by somebody else`;
    case 'kms-key':
      return `The KMS key ${event.keyId} was ${event.change}`;
  }
}
