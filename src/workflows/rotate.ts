import {
  ApplicationFailure,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  isCancellation,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { PRIORITY } from '../rotation/priority';
import { Cause } from '../rotation/errors';
import { ROTATION_WORKFLOWS, rotationWorkflowId, secretIdOf } from '../rotation/names';
import type { SecretType } from '../rotation/names';
import type { RotationInput, RotationResult } from '../rotation/types';
import { noteChanges } from './changes';
import { clearsTheWay, WayOfOne } from './emergency/way-of-one';
import { activitiesFor } from './saga/activities';
import { admitFrontDoor } from './saga/admission';
import { causeOf, rotationRefused } from './saga/failures';
import { refuseAtFrontDoor } from './saga/front-door-refusal';

/** How long the plan is asked for. */
const PREPARATION_MS = 15 * 60_000;

/**
 * The front door: looks the secret's type up in the catalog, starts the right rotation under its own ID and returns its result. The
 * rotation goes on when the front door is terminated; a cancellation is passed on to it. In an emergency it does not yield to a rotation
 * that runs: that one's grace period is ended, its end is waited for, and then the secret is rotated.
 */
export async function rotate(input: RotationInput): Promise<RotationResult> {
  noteChanges();
  admitFrontDoor(input);
  const { environment, secret, requestedBy, reason } = input;
  const secretId = secretIdOf(environment, secret);
  const activitiesTo = (step: string, summary: string) =>
    activitiesFor({
      subject: { secretId, requestedBy, reason },
      step,
      summary,
      limitMs: PREPARATION_MS,
      onAuditDown: () => undefined,
    });
  let step = 'loadPlan';
  let type: SecretType | undefined;
  try {
    const plan = await activitiesTo('loadPlan', `look up the type of ${secretId}`).read.loadPlan({
      environment,
      secret,
    });
    type = plan.type;
    const way = new WayOfOne(input);
    for (;;) {
      try {
        return await startAndWait(input, plan.type);
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError) || !clearsTheWay(input)) throw error;
      }
      step = 'start';
      const done = await way.clear();
      if (done) return done;
    }
  } catch (error) {
    if (isCancellation(error)) throw error;
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      const running = await activitiesTo('describeRotation', `see what runs for ${secretId}`).read.describeRotation({
        environment,
        secret,
      });
      // Somebody does it already: nobody need be told.
      const message = `${running}. Follow it with keyturn status ${secretId}, or stop it with keyturn abort ${secretId}.`;
      throw rotationRefused(secretId, { step: 'start', cause: { type: Cause.AlreadyRunning, message } });
    }
    // The rotation's own failure says it all; that it ran as a child says nothing.
    if (error instanceof ChildWorkflowFailure && error.cause instanceof ApplicationFailure) throw error.cause;
    if (error instanceof ChildWorkflowFailure) throw error;
    throw await refuseAtFrontDoor(input, { step, cause: causeOf(error) }, type);
  }
}

async function startAndWait(input: RotationInput, type: SecretType): Promise<RotationResult> {
  const { environment, secret, emergency } = input;
  const rotation = await startChild<(input: RotationInput) => Promise<RotationResult>>(ROTATION_WORKFLOWS[type], {
    workflowId: rotationWorkflowId(environment, secret),
    args: [input],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    staticSummary: `Rotate ${secretIdOf(environment, secret)}`,
    ...(emergency && { priority: PRIORITY.emergency }),
  });
  return rotation.result();
}
