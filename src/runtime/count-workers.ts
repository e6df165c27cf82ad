import type { NativeConnection } from '@temporalio/worker';

/** TASK_QUEUE_TYPE_ACTIVITY of Temporal's API. */
const ACTIVITIES = 2;

/** A worker that polls no more is still listed for five minutes (Temporal API, 'PollerInfo'); it is counted only this long. */
const SEEN_WITHIN_MS = 70_000;

/** How many workers poll a task queue for activities. A poll lasts up to a minute, and is noted when it begins. */
export async function countWorkers(
  connection: Pick<NativeConnection, 'workflowService'>,
  namespace: string,
  taskQueue: string,
): Promise<number> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: ACTIVITIES,
  });
  const recent = (pollers ?? []).filter(
    ({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1_000 < SEEN_WITHIN_MS,
  );
  return new Set(recent.map(({ identity }) => identity)).size;
}
