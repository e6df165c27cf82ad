import { Client, Connection } from '@temporalio/client';
import type { Config } from './config';
import { openPayloadEncryption } from './payload-encryption';
import { checkNamespace, untilReachable } from './reach-temporal';
import type { Tracing } from './tracing/tracing';
import { openTracing } from './tracing/tracing';

export interface TemporalConnection {
  connection: Connection;
  client: Client;
  close(): Promise<void>;
}

/** A person waits: a server that is up answers at once. In milliseconds. */
const CLIENT_PATIENCE_MS = 5_000;

/**
 * Connects a client, such as the CLI, with payload encryption and tracing when they are configured.
 *
 * @throws StartupError when the server cannot be reached, refuses, or lacks the namespace, or when the KMS key cannot
 * be used.
 */
export async function connectTemporal(
  config: Config,
  { patienceMs = CLIENT_PATIENCE_MS }: { patienceMs?: number } = {},
): Promise<TemporalConnection> {
  // A client lives for one command, so its one data key is never renewed.
  const encryption = await openPayloadEncryption(config, () => undefined);
  const { address, namespace, connection: options } = config.temporal;
  let connection: Connection | undefined;
  let tracing: Tracing | undefined;
  try {
    const connect = () => Connection.connect({ ...options, address, connectTimeout: patienceMs });
    connection = await untilReachable(config.temporal, connect, { patienceMs });
    await checkNamespace(connection, config.temporal);
    tracing = await openTracing(config.tracing, {
      service: 'keyturn',
      batches: false,
      messages: encryption === undefined,
    });
  } catch (error) {
    await connection?.close();
    encryption?.close();
    throw error;
  }
  const opened = connection;
  const client = new Client({
    connection: opened,
    namespace,
    dataConverter: encryption?.dataConverter,
    interceptors: { workflow: tracing?.client ?? [] },
  });
  return {
    connection: opened,
    client,
    async close() {
      await opened.close();
      await tracing?.close();
      encryption?.close();
    },
  };
}
