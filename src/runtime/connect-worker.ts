import { NativeConnection } from '@temporalio/worker';
import type { WorkerConfig } from './config';
import type { Logger } from './logging';
import { checkNamespace, untilReachable } from './reach-temporal';
import {
  createSearchAttributesCommand,
  explainMissingSearchAttributes,
  missingSearchAttributes,
} from './search-attributes';
import { StartupError } from './startup-error';

/** In a cluster the worker may start before the server. In milliseconds. */
const WORKER_PATIENCE_MS = 60_000;

/**
 * Connects a worker and checks what every rotation needs of the server, so that what is missing is one message at the
 * start and not a workflow task that fails for ever.
 *
 * @param signal ends the waiting; its reason is thrown.
 * @throws StartupError when the server cannot be reached within a minute, refuses, or lacks the namespace or search
 * attributes.
 */
export async function connectWorker(
  { temporal }: WorkerConfig,
  logger: Logger,
  signal?: AbortSignal,
): Promise<NativeConnection> {
  const connection = await untilReachable(
    temporal,
    () => NativeConnection.connect({ ...temporal.connection, address: temporal.address }),
    {
      patienceMs: WORKER_PATIENCE_MS,
      signal,
      onRetry: (reason, retryInMs) =>
        logger.warn({ address: temporal.address, reason, retryInMs }, 'Temporal cannot be reached yet; trying again'),
    },
  );
  try {
    await checkNamespace(connection, temporal);
    const missing = await missingSearchAttributes(connection, temporal.namespace);
    if (missing === undefined) {
      logger.warn(
        { namespace: temporal.namespace, create: createSearchAttributesCommand(temporal.namespace) },
        'The server does not let the worker list search attributes; rotations stand still if one is missing',
      );
    } else if (missing.length > 0) {
      throw new StartupError(explainMissingSearchAttributes(missing, temporal));
    }
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}
