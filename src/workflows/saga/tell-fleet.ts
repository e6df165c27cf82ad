import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { GracePeriodBegun } from '../../rotation/fleet';
import { fleetWorkflowId, GRACE_PERIOD_SIGNAL } from '../../rotation/names';

/**
 * Tells the fleet that started this rotation, if one did, that its grace period begins; the fleet counts it as done. A fleet that is
 * gone need not know. It is addressed by its ID alone, because it may have continued as new since; by the rotation's run ID a later fleet
 * of that ID sees that it is none of its own.
 */
export function tellFleet(environment: string, begun: Omit<GracePeriodBegun, 'runId'>): void {
  const { parent, firstExecutionRunId: runId } = workflowInfo();
  const id = [false, true]
    .map((emergency) => fleetWorkflowId({ environment, emergency }))
    .find((fleet) => fleet === parent?.workflowId);
  if (id === undefined) return;
  getExternalWorkflowHandle(id)
    .signal<[GracePeriodBegun]>(GRACE_PERIOD_SIGNAL, { ...begun, runId })
    .catch(() => undefined);
}
