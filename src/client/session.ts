import type { Client } from '@temporalio/client';
import { loadCatalog } from '../catalog';
import type { Catalog } from '../catalog';
import type { Config } from '../runtime/config';
import { connectTemporal } from '../runtime/connect-temporal';
import { BackupClient } from './backup-client';
import { KeyturnClient } from './keyturn-client';
import { explainTemporalFailure } from './temporal-failures';

export { readConfig } from '../runtime/config';

/** @throws CatalogError naming the file and line. */
export function openCatalog(config: Config): Promise<Catalog> {
  return loadCatalog(config.catalogPath);
}

/** Connects, runs `work`, disconnects; Temporal's own failures come out in operators' words. */
export function withKeyturn<T>(config: Config, work: (keyturn: KeyturnClient) => Promise<T>): Promise<T> {
  return withTemporal(config, (client) => work(new KeyturnClient(client, config.taskQueue)));
}

/** The same for backups. */
export function withBackups<T>(config: Config, work: (backups: BackupClient) => Promise<T>): Promise<T> {
  return withTemporal(config, (client) => work(new BackupClient(client, config.taskQueue)));
}

/** The same with Temporal's own client. */
export async function withTemporal<T>(config: Config, work: (client: Client) => Promise<T>): Promise<T> {
  const { client, close } = await connectTemporal(config);
  try {
    return await work(client);
  } catch (error) {
    throw explainTemporalFailure(error, config.temporal);
  } finally {
    await close();
  }
}
