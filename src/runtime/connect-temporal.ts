import { Client, Connection } from '@temporalio/client';
import type { Config } from './config';
import { openPayloadEncryption } from './payload-encryption';
import { checkNamespace, untilReachable } from './reach-temporal';

export interface TemporalConnection {
  connection: Connection;
  client: Client;
  close(): Promise<void>;
}

/** A person waits: a server that is up answers at once. In milliseconds. */
const CLIENT_PATIENCE_MS = 5_000;

/**
 * Connects a client, such as the CLI, with payload encryption when it is configured.
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
  try {
    const connect = () => Connection.connect({ ...options, address, connectTimeout: patienceMs });
    connection = await untilReachable(config.temporal, connect, { patienceMs });
    await checkNamespace(connection, config.temporal);
  } catch (error) {
    await connection?.close();
    encryption?.close();
    throw error;
  }
  const opened = connection;
  const client = new Client({ connection: opened, namespace, dataConverter: encryption?.dataConverter });
  return {
    connection: opened,
    client,
    async close() {
      await opened.close();
      encryption?.close();
    },
  };
}
