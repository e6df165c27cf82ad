import type { WorkflowClient } from '@temporalio/client';
import type { RotationStatus } from '../rotation/types';
import { rotationWorkflowId } from '../rotation/names';
import type { StepInput } from './step-input';

export interface DescribeRotationInput extends StepInput {
  environment: string;
  secret: string;
}

export function createRotationActivities(workflows: Pick<WorkflowClient, 'getHandle'>) {
  return {
    /** What runs for a secret and since when, in one sentence for the one who was refused. */
    async describeRotation({ environment, secret }: DescribeRotationInput): Promise<string> {
      const handle = workflows.getHandle(rotationWorkflowId(environment, secret));
      const { startTime, type } = await handle.describe();
      const status = await handle.query<RotationStatus>('status').catch(() => undefined);
      const where = status ? `, now at ${status.step || status.phase}` : '';
      const until = status?.graceEndsAt ? ` until ${status.graceEndsAt}` : '';
      const by = status?.requestedBy ? ` by ${status.requestedBy}` : '';
      return `${type} runs since ${startTime.toISOString()}${by}${where}${until}`;
    },
  };
}
