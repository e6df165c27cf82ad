import { metricMeter } from '@temporalio/activity';
import {
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { WorkflowClient } from '@temporalio/client';
import type { EndedRotation, FleetCounts, WorkflowFailure } from '../../rotation/fleet';
import { rotationWorkflowId } from '../../rotation/names';
import type { RotationResult } from '../../rotation/types';
import type { StepInput } from '../step-input';

export interface LookAtRotationsInput extends StepInput {
  environment: string;
  rotations: { secret: string; runId: string }[];
}

export interface RecordFleetInput extends StepInput {
  environment: string;
  counts: FleetCounts;
  stopped?: string;
  /** It could not begin. */
  refused?: boolean;
}

export function createFleetRotationActivities(workflows: Pick<WorkflowClient, 'getHandle'>) {
  return {
    /** Which of these runs have ended, and how. */
    async lookAtRotations({ environment, rotations }: LookAtRotationsInput): Promise<EndedRotation[]> {
      const ended: EndedRotation[] = [];
      for (const { secret, runId } of rotations) {
        const handle = workflows.getHandle(rotationWorkflowId(environment, secret), runId);
        try {
          const { status } = await handle.describe();
          if (status.name === 'RUNNING' || status.name === 'PAUSED') continue;
          ended.push({ secret, outcome: ((await handle.result()) as RotationResult).outcome });
        } catch (error) {
          if (error instanceof WorkflowFailedError) ended.push({ secret, failure: failureOf(error.cause) });
          else if (error instanceof WorkflowNotFoundError) ended.push({ secret, failure: FORGOTTEN });
          else throw error;
        }
      }
      return ended;
    },

    /** Counts a finished fleet. Its audit record is the one that every activity has. */
    async recordFleet({ environment, counts, refused }: RecordFleetInput): Promise<void> {
      const ended = counts.failed > 0 ? 'failed' : counts.notStarted > 0 ? 'stopped' : 'done';
      const outcome = refused ? 'refused' : ended;
      metricMeter
        .withTags({ environment, outcome })
        .createCounter('keyturn_fleets', undefined, 'Rotations of whole environments that ended')
        .add(1);
    },
  };
}

/** Kept for as long as the namespace keeps history. */
const FORGOTTEN: WorkflowFailure = { type: 'NotFound', message: 'Temporal no longer knows the rotation' };

function failureOf(cause: Error | undefined): WorkflowFailure {
  if (cause instanceof ApplicationFailure) {
    return { type: cause.type ?? 'Unexpected', message: cause.message, details: cause.details?.[0] };
  }
  const type =
    cause instanceof TerminatedFailure
      ? 'Terminated'
      : cause instanceof TimeoutFailure
        ? 'TimedOut'
        : cause instanceof CancelledFailure
          ? 'Cancelled'
          : 'Unexpected';
  return { type, message: cause?.message ?? 'it ended without saying why' };
}
