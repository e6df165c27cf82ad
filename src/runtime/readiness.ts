import type { NativeConnection, Worker } from '@temporalio/worker';
import type { ReadinessCheck } from './health';

const ANSWER_WITHIN_MS = 2_000;

/** What readiness is about; both are set once the worker was created. */
export interface WorkerParts {
  worker?: Worker;
  connection?: NativeConnection;
}

/** Ready means: takes tasks, and its connection to Temporal answers. */
export function workerReadiness(parts: WorkerParts): ReadinessCheck[] {
  return [
    { name: 'worker', problem: () => problemOfWorker(parts.worker) },
    { name: 'temporal', problem: () => problemOfConnection(parts.connection) },
  ];
}

function problemOfWorker(worker: Worker | undefined): string | undefined {
  if (!worker) return 'starting';
  const { runState, workflowPollerState, activityPollerState } = worker.getStatus();
  if (runState !== 'RUNNING') return runState.toLowerCase();
  if (workflowPollerState !== 'POLLING') return `polling for workflow tasks: ${workflowPollerState.toLowerCase()}`;
  if (activityPollerState !== 'POLLING') return `polling for activity tasks: ${activityPollerState.toLowerCase()}`;
  return undefined;
}

async function problemOfConnection(connection: NativeConnection | undefined): Promise<string | undefined> {
  if (!connection) return 'not connected';
  try {
    await connection.withDeadline(Date.now() + ANSWER_WITHIN_MS, () => connection.workflowService.getSystemInfo({}));
    return undefined;
  } catch (error) {
    return `does not answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
