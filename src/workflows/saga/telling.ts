import { CancellationScope, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { WorkflowIdReusePolicy } from '@temporalio/common';
import { secretIdOf } from '../../rotation/names';
import type { NotifyPeopleInput } from '../../rotation/notifications';
import type { notifyPeople } from '../notify-people';

/**
 * Has people told by a workflow of its own, which outlives this one; only its start is waited for.
 *
 * @param which tells several notifications of the same event of one run apart.
 * @param of this run; something else where others tell the same, of which only the first is to be heard.
 * @returns why it could not be started, or nothing; also when it was started before.
 */
export async function tellPeople(
  input: NotifyPeopleInput,
  which?: string,
  of: string = workflowInfo().runId,
): Promise<string | undefined> {
  const { environment, secret, event } = input;
  const about = secret === undefined ? environment : secretIdOf(environment, secret);
  const parts = ['notification', about, event, of, which];
  try {
    await CancellationScope.nonCancellable(() =>
      startChild<typeof notifyPeople>('notifyPeople', {
        args: [input],
        workflowId: parts.filter((part) => part !== undefined).join('/'),
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${input.severity}: ${event} of ${about}`,
      }),
    );
    return undefined;
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError') return undefined;
    return error instanceof Error ? error.message : 'unknown failure';
  }
}
