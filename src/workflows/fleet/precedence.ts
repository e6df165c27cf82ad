import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { FleetInput } from '../../rotation/fleet';
import { fleetWorkflowId } from '../../rotation/names';
import type { AbortRequest } from '../../rotation/types';
import { isInForce } from '../changes';

/**
 * The workflow ID under which a fleet that begins has to run. Emergencies that began when all fleets had the same go on under that. To be
 * asked before anything is waited for, since the answer may be another one later.
 */
export function ownWorkflowId(input: FleetInput): string {
  return fleetWorkflowId(isInForce('an-emergency-waits-for-no-fleet') ? input : { environment: input.environment });
}

/**
 * Where this is the fleet of an emergency, has the ordinary one of the environment start no more. What that has running is dealt with as
 * everything is that is in the way; one that is not there need not be stopped.
 */
export function stopOrdinaryFleet({ environment, requestedBy, reason }: FleetInput): void {
  if (workflowInfo().workflowId !== fleetWorkflowId({ environment, emergency: true })) return;
  const why = reason === undefined ? 'an emergency' : `an emergency: ${reason}`;
  getExternalWorkflowHandle(fleetWorkflowId({ environment }))
    .signal<[AbortRequest]>('abort', { requestedBy, reason: why })
    .catch(() => undefined);
}
