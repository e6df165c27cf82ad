import { continueAsNew, defineQuery, defineSignal, log, setHandler, workflowInfo } from '@temporalio/workflow';
import { Cause, USAGE_REFUSED } from '../rotation/errors';
import { USAGE_SIGNAL, usageWorkflowId } from '../rotation/usage';
import { WATCH_METRIC_SIGNAL } from '../rotation/usage-metric';
import type { MonitorUsageInput, UsageReport, UsageStatus } from '../rotation/usage';
import { noteChanges } from './changes';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed, refuse } from './saga/failures';
import { isLongEnough, UsageMonitor } from './usage/monitor';
import { newUsage } from './usage/state';
import type { UsageState } from './usage/state';

/**
 * Counts how often a secret is used, as applications report it or a metric tells, and has it rotated by `rotate` when the catalog's `rotateAfterUses` is
 * reached. One for each secret, under the workflow ID `usage/{environment}/{name}`; it never ends by itself.
 *
 * @param state what an earlier run has counted; only a continued one is given it.
 * @throws UsageRefused for a malformed input, another workflow ID, or a secret that the catalog does not declare.
 */
export async function monitorUsage(input: MonitorUsageInput, state?: UsageState): Promise<never> {
  noteChanges();
  admit(input);
  const { environment, secret } = input;
  const known = workflowInfo().continuedFromExecutionRunId === undefined ? undefined : state;
  const monitor = new UsageMonitor({ environment, secret }, known ?? newUsage());
  setHandler(defineQuery<UsageStatus>('status'), () => monitor.status());
  setHandler(defineSignal<[UsageReport]>(USAGE_SIGNAL), (report) => {
    const problem = monitor.report(report);
    if (problem !== undefined)
      log.warn(`A report of uses was refused and not counted: ${problem}`, { environment, secret });
  });
  setHandler(defineSignal(WATCH_METRIC_SIGNAL), () => monitor.askLook());
  await monitor.run(isLongEnough);
  return continueAsNew<typeof monitorUsage>(input, monitor.state);
}

function admit(input: MonitorUsageInput): void {
  try {
    checkEnvironmentInput(input, ['environment', 'secret'], { required: ['secret'] });
    const own = usageWorkflowId(input.environment, input.secret);
    if (workflowInfo().workflowId === own) return;
    throw refuse(
      Cause.WrongWorkflowId,
      `the uses of this secret are counted under the workflow ID ${own} and no other.`,
    );
  } catch (error) {
    throw environmentFailed(USAGE_REFUSED, 'admit', causeOf(error));
  }
}
