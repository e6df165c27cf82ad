import type { FleetInput, FleetReport, FleetStatus } from '../../src/rotation/fleet';
import { FLEET_WORKFLOW, fleetWorkflowId } from '../../src/rotation/names';
import type { Testbed } from './testbed';

/**
 * The fleet of a testbed's environment, the ordinary one or that of an emergency.
 *
 * @param about is part of every input.
 */
export function fleetOf(bed: Testbed, about: Pick<FleetInput, 'emergency'> = {}) {
  const { environment } = bed;
  const workflowId = fleetWorkflowId({ environment, ...about });
  const handle = () => bed.client.workflow.getHandle(workflowId);
  /** @param id instead of the one under which such a fleet has to run. */
  const start = (input: Partial<FleetInput> = {}, id?: string) => {
    const whole: FleetInput = { environment, requestedBy: 'tester', ...about, ...input };
    return bed.client.workflow.start(FLEET_WORKFLOW, {
      taskQueue: bed.taskQueue,
      workflowId: id ?? fleetWorkflowId(whole),
      args: [whole],
    });
  };
  return {
    workflowId,
    handle,
    start,
    status: () => handle().query<FleetStatus>('status'),
    async rotate(input: Partial<FleetInput> = {}): Promise<FleetReport> {
      return (await (await start(input)).result()) as FleetReport;
    },
  };
}

/** The outcomes of a report by the secrets' names. */
export function outcomesOf({ secrets }: FleetReport): Record<string, string> {
  return Object.fromEntries(secrets.map(({ secret, outcome }) => [secret, outcome]));
}
