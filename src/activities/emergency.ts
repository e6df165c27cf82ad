import { activityInfo } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowClient, WorkflowHandle } from '@temporalio/client';
import { CancelledFailure, defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import type { Obstacle } from '../rotation/emergency';
import { inLanes } from '../rotation/in-lanes';
import { ROTATION_WORKFLOWS, rotationWorkflowId, SEARCH_ATTRIBUTES } from '../rotation/names';
import type { EndGracePeriodRequest, RotationResult, RotationStatus } from '../rotation/types';
import type { StepInput } from './step-input';

export interface ClearTheWayInput extends StepInput {
  environment: string;
  secrets: string[];
  /** When the emergency was declared, in milliseconds since the epoch. */
  since: number;
}

const PHASE = defineSearchAttributeKey(SEARCH_ATTRIBUTES.phase, SearchAttributeType.KEYWORD);
const LANES = 10;

/** Going back to an older value runs under the same ID, and does not help against a leak. */
const ROTATIONS: readonly string[] = Object.values(ROTATION_WORKFLOWS);

type Rotations = Pick<WorkflowClient, 'getHandle'>;

export function createEmergencyActivities(rotations: Rotations) {
  async function obstacleOf({ environment, since, requestedBy, reason }: ClearTheWayInput, secret: string) {
    const handle = rotations.getHandle(rotationWorkflowId(environment, secret));
    const { status, typedSearchAttributes } = await handle.describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') {
      const replaced = await replacedSince(rotations, environment, secret, since);
      return { secret, state: replaced ? 'replaced' : 'gone', ...replaced } as const;
    }
    const phase = typedSearchAttributes.get(PHASE);
    if (phase === 'grace-period') {
      await handle.signal<[EndGracePeriodRequest]>('endGracePeriod', { requestedBy, reason });
    }
    const what = phase === 'retiring' ? await waitsForProvider(handle) : undefined;
    return { secret, state: what === undefined ? 'running' : 'unstoppable', what } as const;
  }

  return {
    /**
     * Ends the grace periods of rotations that are in the way of an emergency, and says how each of them stands. One of which that cannot
     * be found out is taken to run, so that it holds up no other. It fails when it could be found out of none.
     */
    async clearTheWay(input: ClearTheWayInput): Promise<Obstacle[]> {
      const found: Obstacle[] = [];
      const problems: unknown[] = [];
      await inLanes(input.secrets, LANES, async (secret, n) => {
        try {
          found[n] = await obstacleOf(input, secret);
        } catch (error) {
          if (error instanceof CancelledFailure) throw error;
          // It has ended between two calls, or longer ago than the namespace keeps history.
          const gone = error instanceof WorkflowNotFoundError;
          found[n] = { secret, state: gone ? 'gone' : 'running' };
          if (!gone) problems.push(error);
        }
      });
      const [problem] = problems;
      if (problem !== undefined && problems.length === input.secrets.length) throw problem;
      return found;
    },
  };
}

/**
 * What the latest rotation of a secret came to, where that helps against a leak: it began after it, has rotated, and as an emergency,
 * since any other one may leave the old credential valid. It ran where this activity does: whoever may start workflows can have a worker
 * of his own say anything under that ID.
 */
export async function replacedSince(
  rotations: Rotations,
  environment: string,
  secret: string,
  since: number,
): Promise<{ runId: string; result: RotationResult } | undefined> {
  const workflowId = rotationWorkflowId(environment, secret);
  const { status, startTime, type, runId, taskQueue } = await rotations.getHandle(workflowId).describe();
  if (taskQueue !== activityInfo().taskQueue) return undefined;
  if (status.name !== 'COMPLETED' || startTime.getTime() < since || !ROTATIONS.includes(type)) return undefined;
  const result = (await rotations.getHandle(workflowId, runId).result()) as RotationResult;
  return result.outcome === 'rotated' && result.emergency ? { runId, result } : undefined;
}

/** What it waits for, if only the provider can bring that about. Nobody answers: it is not known, and looked at again. */
async function waitsForProvider(handle: WorkflowHandle): Promise<string | undefined> {
  const status = await handle.query<RotationStatus>('status').catch(() => undefined);
  return status?.steps.find(({ name, state }) => name === 'waitForExpiry' && state === 'running')?.summary;
}
