import type { FleetInput, FleetReport, FleetStatus } from '../../src/rotation/fleet';
import { FLEET_WORKFLOW, fleetWorkflowId } from '../../src/rotation/names';
import type { Testbed } from './testbed';

/** The fleet of a testbed's environment. */
export function fleetOf(bed: Testbed) {
  const workflowId = fleetWorkflowId(bed.environment);
  const handle = () => bed.client.workflow.getHandle(workflowId);
  const start = (input: Partial<FleetInput> = {}, id = workflowId) =>
    bed.client.workflow.start(FLEET_WORKFLOW, {
      taskQueue: bed.taskQueue,
      workflowId: id,
      args: [{ environment: bed.environment, requestedBy: 'tester', ...input }],
    });
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
