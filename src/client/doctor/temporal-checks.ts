import type { Connection } from '@temporalio/client';
import { formatDuration } from '../../rotation/durations';
import type { Config } from '../../runtime/config';
import { explainMissingSearchAttributes, missingSearchAttributes } from '../../runtime/search-attributes';
import { connectTemporal } from '../../runtime/connect-temporal';
import type { TemporalConnection } from '../../runtime/connect-temporal';
import type { Check } from './check';
import { check, failed, failedBy, ok, skipped, warning } from './check';

/** temporal.api.enums.v1.TaskQueueType */
const TASK_QUEUE_TYPES = { workflows: 1, activities: 2 } as const;

/**
 * The server remembers pollers for five minutes, and a worker that lives polls again within one (Temporal's long poll). One that
 * was killed therefore still shows for about a minute; when it last polled is said.
 */
const LONGEST_POLL_MS = 75_000;

/** The server, the namespace's search attributes, and whether a worker polls. */
export async function checkTemporal(config: Config): Promise<Check[]> {
  const { address, namespace } = config.temporal;
  let connected: TemporalConnection;
  try {
    connected = await connectTemporal(config);
  } catch (error) {
    const untried = 'not tried without a connection';
    return [failedBy('Temporal', error), skipped('search attributes', untried), skipped('worker', untried)];
  }
  const { connection, close } = connected;
  try {
    return [
      ok('Temporal', `answers at ${address}, namespace ${namespace}`),
      await check('search attributes', () => checkSearchAttributes(connection, config)),
      await check('worker', () => checkWorker(connection, config)),
    ];
  } finally {
    await close();
  }
}

async function checkSearchAttributes(connection: Connection, { temporal }: Config): Promise<Check> {
  const name = 'search attributes';
  const missing = await missingSearchAttributes(connection, temporal.namespace);
  if (missing === undefined) {
    return warning(
      name,
      'the server does not let this client list them',
      "Look them up where the namespace is administered; rotations set Keyturn's four.",
    );
  }
  if (missing.length === 0) return ok(name, 'all four exist as Keyword');
  const names = missing.map(({ name: attribute, existsAs }) =>
    existsAs ? `${attribute} (is ${existsAs})` : attribute,
  );
  return failed(name, `missing: ${names.join(', ')}`, explainMissingSearchAttributes(missing, temporal));
}

async function checkWorker(connection: Connection, { taskQueue, temporal: { namespace } }: Config): Promise<Check> {
  const polled = await Promise.all(
    Object.entries(TASK_QUEUE_TYPES).map(async ([kind, taskQueueType]) => {
      const request = { namespace, taskQueue: { name: taskQueue }, taskQueueType };
      const { pollers } = await connection.workflowService.describeTaskQueue(request);
      const alive = (pollers ?? [])
        .map(({ identity, lastAccessTime }) => ({
          worker: identity || 'unnamed',
          agoMs: Math.max(0, Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1_000),
        }))
        .filter(({ agoMs }) => agoMs < LONGEST_POLL_MS);
      return { kind, alive };
    }),
  );
  const idle = polled.filter(({ alive }) => alive.length === 0).map(({ kind }) => kind);
  if (idle.length > 0) {
    return failed(
      'worker',
      `no worker polls task queue ${taskQueue} for ${idle.join(' and ')}`,
      'Start one: keyturn worker',
    );
  }
  const lastPolls = new Map<string, number>();
  for (const { worker, agoMs } of polled.flatMap(({ alive }) => alive)) {
    lastPolls.set(worker, Math.min(agoMs, lastPolls.get(worker) ?? Infinity));
  }
  const workers = [...lastPolls].map(([worker, agoMs]) => `${worker} (polled ${formatDuration(agoMs)} ago)`);
  return ok('worker', `task queue ${taskQueue}: ${workers.join(', ')}`);
}
