import type { Testbed } from './testbed';
import { until } from './until';

/** Has Temporal start what a schedule starts. */
export async function triggered(bed: Testbed, scheduleId: string): Promise<{ workflowId: string; runId: string }> {
  const schedule = bed.client.schedule.getHandle(scheduleId);
  const before = (await schedule.describe()).info.numActionsTaken;
  await schedule.trigger();
  const action = await until('it has started', async () => {
    const { numActionsTaken, recentActions } = (await schedule.describe()).info;
    return numActionsTaken > before ? recentActions.at(-1)?.action : undefined;
  });
  if (action.type !== 'startWorkflow') throw new Error('it started no workflow');
  const { workflowId, firstExecutionRunId: runId } = action.workflow;
  return { workflowId, runId };
}
