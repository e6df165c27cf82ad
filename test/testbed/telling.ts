import { randomUUID } from 'node:crypto';
import type { NotifyPeopleInput, NotifyPeopleResult } from '../../src/rotation/notifications';
import type { Testbed } from './testbed';

/** Has the channels told of something, as a rotation does. */
export async function tell(bed: Testbed, input: Partial<NotifyPeopleInput> = {}): Promise<NotifyPeopleResult> {
  return (await startTelling(bed, input)).result();
}

export async function startTelling(bed: Testbed, input: Partial<NotifyPeopleInput> = {}) {
  const { client, taskQueue, environment } = bed;
  const full: NotifyPeopleInput = {
    environment,
    secret: 'database/orders',
    event: 'rolled-back',
    severity: 'warning',
    message: 'It was not rotated, and what was done is undone. promote failed: <!channel> & co.',
    ...input,
  };
  return client.workflow.start<(input: NotifyPeopleInput) => Promise<NotifyPeopleResult>>('notifyPeople', {
    taskQueue,
    workflowId: `notification/${environment}/${randomUUID()}`,
    args: [full],
  });
}
