import {
  ApplicationFailure,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import {
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import type { EndedRotation, FleetInput, FleetSecret, WorkflowFailure } from '../../rotation/fleet';
import { ROTATION_WORKFLOWS, rotationWorkflowId, secretIdOf } from '../../rotation/names';
import { PRIORITY } from '../../rotation/priority';
import type { RotationInput, RotationResult } from '../../rotation/types';
import { causeOf } from '../saga/failures';

export interface StartedRotation {
  runId: string;
  /** Never rejects. */
  ended: Promise<EndedRotation>;
}

/** Starts the rotation of one secret under its own ID; it outlives the fleet. @throws when one runs already; see {@link alreadyRuns}. */
export async function startRotation(fleet: FleetInput, { secret, type }: FleetSecret): Promise<StartedRotation> {
  const { environment, reason, requestedBy, dryRun, emergency } = fleet;
  const rotation = await startChild<(input: RotationInput) => Promise<RotationResult>>(ROTATION_WORKFLOWS[type], {
    workflowId: rotationWorkflowId(environment, secret),
    args: [{ environment, secret, reason, requestedBy, dryRun, emergency }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    cancellationType: ChildWorkflowCancellationType.ABANDON,
    priority: emergency ? PRIORITY.emergency : PRIORITY.usual,
    staticSummary: `${dryRun ? 'Plan the rotation of' : 'Rotate'} ${secretIdOf(environment, secret)}`,
  });
  return {
    runId: rotation.firstExecutionRunId,
    ended: rotation.result().then(
      ({ outcome }): EndedRotation => ({ secret, outcome }),
      (error: unknown): EndedRotation => ({ secret, failure: failureOf(error) }),
    ),
  };
}

/** Whether a rotation could not be started because there is one. */
export function alreadyRuns(error: unknown): boolean {
  return error instanceof WorkflowExecutionAlreadyStartedError;
}

function failureOf(error: unknown): WorkflowFailure {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    return { type: cause.type ?? 'Unexpected', message: cause.message, details: cause.details?.[0] };
  }
  const { message } = causeOf(cause);
  if (cause instanceof TerminatedFailure) return { type: 'Terminated', message };
  if (cause instanceof TimeoutFailure) return { type: 'TimedOut', message };
  if (cause instanceof CancelledFailure) return { type: 'Cancelled', message };
  return { type: 'Unexpected', message };
}
