import type { WorkerProcess } from '../lab/worker-process';

/** What a worker says of itself (https://docs.temporal.io/references/sdk-metrics). */
export interface WorkerMetrics {
  /** How many workflow tasks it took on since its start. */
  workflowTasks: number;
  /** How many workflows it holds in memory now. */
  cachedWorkflows: number;
}

export async function readMetrics(worker: WorkerProcess): Promise<WorkerMetrics> {
  const { metricsAddress } = await worker.ready;
  const text = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  return {
    workflowTasks: sumOf('temporal_workflow_task_execution_latency_count', text),
    cachedWorkflows: sumOf('temporal_sticky_cache_size', text),
  };
}

/** Over all its labels; lines are `name{labels} value`. */
function sumOf(name: string, text: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  if (lines.length === 0) throw new Error(`the worker's metrics have no ${name}`);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
