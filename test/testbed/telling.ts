import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import type { NotifyPeopleInput, NotifyPeopleResult } from '../../src/rotation/notifications';
import type { Testbed } from './testbed';
import { until } from './until';

const { CommandType, ParentClosePolicy } = temporal.api.enums.v1;

/** A notification under way, as a workflow that is over by now has asked for it. */
export interface Telling {
  workflowId: string;
  runId: string;
  /** The workflow that asked for it. */
  asker: { workflowId: string; runId: string };
  result(): Promise<NotifyPeopleResult>;
  terminate(): Promise<unknown>;
}

/** Has the channels told of something, as a rotation does. */
export async function tell(bed: Testbed, input: Partial<NotifyPeopleInput> = {}): Promise<NotifyPeopleResult> {
  return (await startTelling(bed, input)).result();
}

export async function startTelling(bed: Testbed, input: Partial<NotifyPeopleInput> = {}): Promise<Telling> {
  const { client, taskQueue, environment } = bed;
  const id = randomUUID();
  const askers = `asker-${id}`;
  const asker = await client.workflow.start('asker', { taskQueue: askers, workflowId: `asker/${environment}/${id}` });
  const workflowId = `notification/${environment}/${id}`;
  await startChild(client, askers, {
    workflowId,
    workflowType: { name: 'notifyPeople' },
    taskQueue: { name: taskQueue },
    input: { payloads: [defaultPayloadConverter.toPayload(notification(environment, input))] },
    parentClosePolicy: ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON,
  });
  const handle = client.workflow.getHandle<() => Promise<NotifyPeopleResult>>(workflowId);
  const { runId } = await until('it is being told', () => handle.describe().catch(() => undefined));
  await asker.terminate();
  return {
    workflowId,
    runId,
    asker: { workflowId: asker.workflowId, runId: asker.firstExecutionRunId },
    result: () => handle.result(),
    terminate: () => handle.terminate(),
  };
}

export function notification(environment: string, input: Partial<NotifyPeopleInput>): NotifyPeopleInput {
  return {
    environment,
    secret: 'database/orders',
    event: 'rolled-back',
    severity: 'warning',
    message: 'It was not rotated, and what was done is undone. promote failed: <!channel> & co.',
    ...input,
  };
}

/** Does a worker's part for the one workflow of a task queue, by hand: there is no such workflow in the product. */
async function startChild(
  { connection, options: { namespace } }: Client,
  tasks: string,
  child: temporal.api.command.v1.IStartChildWorkflowExecutionCommandAttributes,
): Promise<void> {
  const { workflowService } = connection;
  // The server lets nobody poll who does not say for how long.
  const { taskToken } = await connection.withDeadline(Date.now() + 60_000, () =>
    workflowService.pollWorkflowTaskQueue({ namespace, taskQueue: { name: tasks } }),
  );
  await workflowService.respondWorkflowTaskCompleted({
    namespace,
    taskToken,
    commands: [
      {
        commandType: CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
        startChildWorkflowExecutionCommandAttributes: { namespace, ...child },
      },
    ],
  });
}
