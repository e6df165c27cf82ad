import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  continueAsNew,
  isCancellation,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { PRIORITY } from '../rotation/priority';
import { Cause } from '../rotation/errors';
import type { FleetInput, FleetReport } from '../rotation/fleet';
import { FLEET_WORKFLOW } from '../rotation/names';
import { noteChanges } from './changes';
import { admitFleet, fleetRefused } from './fleet/admission';
import { uninterrupted } from './fleet/calls';
import { Fleet } from './fleet/fleet';
import { ownWorkflowId, stopOrdinaryFleet } from './fleet/precedence';
import type { FleetProgress } from './fleet/progress';
import { refuseFleet } from './fleet/refusal';
import { alreadyRuns } from './fleet/rotation';
import { refuse } from './saga/failures';

/**
 * Rotates the secrets of an environment, each in a workflow of its own, and reports what became of each. It runs under the workflow ID
 * `fleet/{environment}`, which keeps two from meeting; under any other ID, such as a schedule's, it starts itself under that one. An
 * emergency's is `fleet/{environment}/emergency`: it has the other one start no more, and that one is refused while it runs.
 *
 * @param progress what an earlier run of this workflow has come to; only a continued one is given it.
 * @throws RotationRefused when it could not begin; nothing was started then. That single rotations fail is in the report.
 */
export async function rotateEnvironment(input: FleetInput, progress?: FleetProgress): Promise<FleetReport> {
  noteChanges();
  admitFleet(input);
  const { workflowId, continuedFromExecutionRunId } = workflowInfo();
  const known = continuedFromExecutionRunId === undefined ? undefined : progress;
  // An emergency that began when all had one ID goes on under that.
  if (!known && workflowId !== ownWorkflowId(input)) return underItsOwnId(input);
  const fleet = new Fleet(input, known);
  // A cancellation is an abort: it starts no more, and the report is written.
  CancellationScope.current().cancelRequested.catch(() => fleet.abort({ reason: 'the workflow was cancelled' }));
  const report = await uninterrupted(async () => {
    if (!known) {
      try {
        await fleet.survey();
      } catch (error) {
        throw await refuseFleet(input, error);
      }
      if (!fleet.isStopped) stopOrdinaryFleet(input);
    }
    return fleet.run(() => workflowInfo().continueAsNewSuggested);
  });
  return report ?? continueAsNew<typeof rotateEnvironment>(input, fleet.handedOn());
}

async function underItsOwnId(input: FleetInput): Promise<FleetReport> {
  const { environment } = input;
  const workflowId = ownWorkflowId(input);
  try {
    const fleet = await startChild<typeof rotateEnvironment>(FLEET_WORKFLOW, {
      workflowId,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: `Rotate the environment ${environment}`,
      ...(input.emergency && { priority: PRIORITY.emergency }),
    });
    return await fleet.result();
  } catch (error) {
    if (isCancellation(error)) throw error;
    if (alreadyRuns(error)) {
      const next = `Follow it with keyturn status ${environment} --follow`;
      const message = input.emergency
        ? `${workflowId} runs already. ${next}, and start this one again when it has ended.`
        : `${workflowId} runs already. ${next}, or stop it with keyturn abort ${environment} --all.`;
      throw fleetRefused(environment, refuse(Cause.AlreadyRunning, message));
    }
    if (error instanceof ChildWorkflowFailure && error.cause instanceof ApplicationFailure) throw error.cause;
    throw error;
  }
}
