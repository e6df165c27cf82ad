import { loadCatalog } from '../catalog';
import type { Catalog } from '../catalog';
import type { Config } from '../runtime/config';
import { connectTemporal } from '../runtime/connect-temporal';
import { KeyturnClient } from './keyturn-client';
import { explainTemporalFailure } from './temporal-failures';

export { readConfig } from '../runtime/config';

/** @throws CatalogError naming the file and line. */
export function openCatalog(config: Config): Promise<Catalog> {
  return loadCatalog(config.catalogPath);
}

/** Connects, runs `work`, disconnects; Temporal's own failures come out in operators' words. */
export async function withKeyturn<T>(config: Config, work: (keyturn: KeyturnClient) => Promise<T>): Promise<T> {
  const { client, close } = await connectTemporal(config);
  try {
    return await work(new KeyturnClient(client, config.taskQueue));
  } catch (error) {
    throw explainTemporalFailure(error, config.temporal);
  } finally {
    await close();
  }
}
