import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { GracePeriodBegun } from '../../rotation/fleet';
import { fleetWorkflowId, GRACE_PERIOD_SIGNAL } from '../../rotation/names';

/**
 * Tells the fleet that started this rotation, if one did, that its grace period begins; the fleet counts it as done. A fleet that is
 * gone need not know. It is addressed by its ID alone, because it may have continued as new since.
 */
export function tellFleet(environment: string, begun: GracePeriodBegun): void {
  const id = fleetWorkflowId(environment);
  if (workflowInfo().parent?.workflowId !== id) return;
  getExternalWorkflowHandle(id)
    .signal<[GracePeriodBegun]>(GRACE_PERIOD_SIGNAL, begun)
    .catch(() => undefined);
}
