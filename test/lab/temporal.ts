import { Connection } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import { SEARCH_ATTRIBUTES } from '../../src/rotation/names';
import { PartUnavailable, reportFor, secondsSince, type Report } from './part';
import { freePorts, LOOPBACK } from './ports';
import { lastLines, startProcess, type RunningProcess } from './processes';
import { installedTemporalCli, temporalCli } from './temporal-cli';

export interface Temporal {
  /** `host:port` of the frontend. */
  address: string;
  namespace: string;
  /** The web UI, where the lab started it. */
  uiUrl?: string;
  /** Of the server's process, where the lab started it. */
  pid?: number;
  /** A Temporal CLI, where there is one. */
  binary?: string;
  stop(): Promise<void>;
}

/**
 * The dev server polls its internal queues 20 times a second by default, which costs about 50 ms a step; eager execution saves a
 * round trip more.
 */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=1000',
  'history.timerProcessorMaxPollRPS=1000',
  'history.visibilityProcessorMaxPollRPS=1000',
  'system.enableActivityEagerExecution=true',
];

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;
const READY_WITHIN_MS = 30_000;
const ANSWERS_WITHIN_MS = 5_000;
const ATTEMPTS = 3;

/**
 * A Temporal server: that of TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE), else a dev server on free loopback ports that keeps
 * everything in memory.
 *
 * @throws {PartUnavailable}
 */
export async function startTemporal(report: Report): Promise<Temporal> {
  const say = reportFor('temporal', report);
  const address = process.env.TEMPORAL_ADDRESS;
  return address ? useTemporal(address, say) : startDevServer(say);
}

async function useTemporal(address: string, report: Report): Promise<Temporal> {
  const namespace = process.env.TEMPORAL_NAMESPACE || 'default';
  const reason = await withConnection(address, async (connection) => {
    await connection.workflowService.describeNamespace({ namespace });
  });
  if (reason !== undefined) {
    throw new PartUnavailable(
      'Temporal',
      `TEMPORAL_ADDRESS is ${address}, but namespace ${namespace} could not be read there (${reason})`,
      'unset TEMPORAL_ADDRESS, so that the lab starts a server of its own',
    );
  }
  await addSearchAttributes(address, namespace);
  report(`using ${address}, namespace ${namespace} (TEMPORAL_ADDRESS)`);
  return { address, namespace, binary: installedTemporalCli(), stop: () => Promise.resolve() };
}

async function addSearchAttributes(address: string, namespace: string): Promise<void> {
  const reason = await withConnection(address, async (connection) => {
    const missing = await missingSearchAttributes(connection, namespace);
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    while ((await missingSearchAttributes(connection, namespace)).length > 0) await delay(250);
  });
  if (reason === undefined) return;
  const flags = Object.values(SEARCH_ATTRIBUTES).map((name) => `--name ${name} --type Keyword`);
  throw new PartUnavailable(
    'Temporal',
    `the search attributes that Keyturn needs could not be added to namespace ${namespace} at ${address} (${reason})`,
    `temporal operator search-attribute create --address ${address} --namespace ${namespace} ${flags.join(' ')}`,
  );
}

async function missingSearchAttributes(connection: Connection, namespace: string): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.values(SEARCH_ATTRIBUTES).filter((name) => !(name in (customAttributes ?? {})));
}

/** @param config added to what every dev server is told, as `key=value`. */
export async function startDevServer(report: Report, config: string[] = []): Promise<Temporal> {
  const binary = await temporalCli(report);
  const startedAt = Date.now();
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const [port = 0, uiPort = 0, httpPort = 0, metricsPort = 0] = await freePorts(4);
    const address = `${LOOPBACK}:${port}`;
    const server = startProcess(binary, [
      ...devServerArguments({ port, uiPort, httpPort, metricsPort }),
      ...config.flatMap((value) => ['--dynamic-config-value', value]),
    ]);
    const version = await waitUntilReady(server, address);
    if (version !== undefined) {
      report(`ready on ${address} (server ${version}, ${secondsSince(startedAt)})`);
      const stop = async (): Promise<void> => void (await server.end('SIGTERM'));
      return { address, namespace: 'default', uiUrl: `http://${LOOPBACK}:${uiPort}`, pid: server.pid, binary, stop };
    }
    await server.end('SIGKILL');
    failure = lastLines(server.output());
    if (!failure.includes('address already in use')) break;
  }
  throw new PartUnavailable('Temporal', `${binary} does not start (${failure})`, `${binary} server start-dev`);
}

function devServerArguments(ports: { port: number; uiPort: number; httpPort: number; metricsPort: number }): string[] {
  return [
    ...['server', 'start-dev', '--ip', LOOPBACK, '--ui-ip', LOOPBACK, '--log-level', 'error'],
    ...['--port', `${ports.port}`, '--ui-port', `${ports.uiPort}`],
    ...['--http-port', `${ports.httpPort}`, '--metrics-port', `${ports.metricsPort}`],
    ...DYNAMIC_CONFIG.flatMap((value) => ['--dynamic-config-value', value]),
    ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
}

/** Resolves with the server's version once a client can work with it; with `undefined` when it ended or took too long. */
async function waitUntilReady(server: RunningProcess, address: string): Promise<string | undefined> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (server.isRunning() && Date.now() < deadline) {
    let version: string | undefined;
    await withConnection(address, async (connection) => {
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      if ((await missingSearchAttributes(connection, 'default')).length > 0) return;
      version = (await connection.workflowService.getSystemInfo({})).serverVersion ?? 'of unknown version';
    });
    if (version !== undefined) return version;
    await delay(50);
  }
  return undefined;
}

/** Returns why it failed, or `undefined`. */
async function withConnection(
  address: string,
  work: (connection: Connection) => Promise<void>,
): Promise<string | undefined> {
  const connection = Connection.lazy({ address });
  try {
    await connection.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () => work(connection));
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return /DEADLINE_EXCEEDED|UNAVAILABLE/.test(reason) ? 'nothing answers' : reason;
  } finally {
    await connection.close();
  }
}
