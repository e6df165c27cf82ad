import { CancellationScope, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import type { ChildWorkflowHandle } from '@temporalio/workflow';
import { WorkflowIdReusePolicy } from '@temporalio/common';
import { secretIdOf } from '../../rotation/names';
import type { NotifyPeopleInput } from '../../rotation/notifications';
import type { notifyPeople } from '../notify-people';
import { causeOf } from './failures';

type Telling = ChildWorkflowHandle<typeof notifyPeople>;

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
  return (await startTelling(input, which, of)).problem;
}

/**
 * Has people told in the same way, and waits until that is done or given up, for an hour or so at most.
 *
 * @returns why nobody was told of those who were to be, or nothing.
 * @throws CancelledFailure when the waiting is cancelled; people are told all the same.
 */
export async function tellAndWait(input: NotifyPeopleInput): Promise<string | undefined> {
  const { telling, problem } = await startTelling(input);
  if (!telling) return problem;
  try {
    const { sent, notSent } = await Promise.race([telling.result(), CancellationScope.current().cancelRequested]);
    if (sent.length > 0 || notSent.length === 0) return undefined;
    return notSent.map(({ channel, problem: why }) => `${channel}: ${why}`).join('; ');
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return causeOf(error).message;
  }
}

async function startTelling(
  input: NotifyPeopleInput,
  which?: string,
  of: string = workflowInfo().runId,
): Promise<{ telling?: Telling; problem?: string }> {
  const { environment, secret, event } = input;
  const about = secret === undefined ? environment : secretIdOf(environment, secret);
  const parts = ['notification', about, event, of, which];
  try {
    const telling = await CancellationScope.nonCancellable(() =>
      startChild<typeof notifyPeople>('notifyPeople', {
        args: [input],
        workflowId: parts.filter((part) => part !== undefined).join('/'),
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${input.severity}: ${event} of ${about}`,
      }),
    );
    return { telling };
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError') return {};
    return { problem: error instanceof Error ? error.message : 'unknown failure' };
  }
}
