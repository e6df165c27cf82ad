import { existsSync } from 'node:fs';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { loadClientConnectConfig } from '@temporalio/envconfig';

/** How to reach Temporal. Holds credentials: never log it. */
export interface TemporalSettings {
  address: string;
  namespace: string;
  /** Fits both the client's and the worker's connection. */
  connection: ClientConnectConfig['connectionOptions'];
}

/**
 * Reads the settings that all Temporal programs share, by @temporalio/envconfig: `TEMPORAL_ADDRESS`,
 * `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS*`, and the profile `TEMPORAL_PROFILE` of
 * `TEMPORAL_CONFIG_FILE`. It also refuses what envconfig takes silently and nobody means: TLS that is off because of a
 * spelling, half a client certificate, a file that is not there.
 */
export function readTemporalSettings(env: Record<string, string | undefined>, problems: string[]): TemporalSettings {
  const given = Object.fromEntries(
    Object.entries(env).filter(
      // An empty TEMPORAL_GRPC_META_* removes a header of the profile; every other empty variable counts as not set.
      (entry): entry is [string, string] =>
        entry[1] !== undefined && (entry[1] !== '' || entry[0].startsWith('TEMPORAL_GRPC_META_')),
    ),
  );
  for (const name of ['TEMPORAL_TLS', 'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION']) {
    if (given[name] !== undefined && !/^(true|false|1|0)$/.test(given[name])) {
      problems.push(`${name} is '${given[name]}'; expected true or false`);
    }
  }
  if (given.TEMPORAL_CONFIG_FILE !== undefined && !existsSync(given.TEMPORAL_CONFIG_FILE)) {
    problems.push(
      `TEMPORAL_CONFIG_FILE: ${given.TEMPORAL_CONFIG_FILE} does not exist; expected the path of a Temporal configuration file`,
    );
  }
  if (isGiven(given, 'TEMPORAL_TLS_CLIENT_CERT') !== isGiven(given, 'TEMPORAL_TLS_CLIENT_KEY')) {
    problems.push(
      'TEMPORAL_TLS_CLIENT_CERT_* and TEMPORAL_TLS_CLIENT_KEY_*: only one is set; expected both or neither',
    );
  }
  let loaded: ClientConnectConfig;
  try {
    loaded = loadClientConnectConfig({ overrideEnvVars: given });
  } catch (error) {
    // Only the first line: a parser's further lines quote the file, which may hold an API key.
    const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    problems.push(`Temporal's connection settings (TEMPORAL_* or its configuration file): ${reason}`);
    loaded = { connectionOptions: {} };
  }
  const address = loaded.connectionOptions.address ?? 'localhost:7233';
  if (!/^(\[[^\]]+\]|[^\s:/]+)(:\d{1,5})?$/.test(address)) {
    problems.push(`TEMPORAL_ADDRESS is '${address}'; expected host:port without a scheme, such as localhost:7233`);
  }
  return { address, namespace: loaded.namespace ?? 'default', connection: { ...loaded.connectionOptions, address } };
}

function isGiven(env: Record<string, string>, prefix: string): boolean {
  return env[`${prefix}_PATH`] !== undefined || env[`${prefix}_DATA`] !== undefined;
}
