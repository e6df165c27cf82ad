import { existsSync } from 'node:fs';
import { PartUnavailable } from './part';
import { freePort, LOOPBACK } from './ports';
import { startProcess, type ProcessEnd } from './processes';
import { PROJECT_ROOT, projectFile } from './project';

export interface WorkerAddresses {
  /** `host:port`. */
  healthAddress: string;
  metricsAddress: string;
}

export interface WorkerProcess {
  pid: number;
  /** Resolves when the worker polls; rejects with {@link WorkerNotReady} when it ends before, or takes longer than a minute. */
  ready: Promise<WorkerAddresses>;
  exited: Promise<ProcessEnd>;
  /** Sends a signal and waits until the worker has ended. Default SIGKILL. */
  kill(signal?: NodeJS.Signals): Promise<ProcessEnd>;
  /** Lets it finish what it is doing; after 30 s it is killed. */
  stop(): Promise<ProcessEnd>;
  /** All that it wrote to stdout and stderr. */
  output(): string;
}

/** The worker ended before it was ready, or took too long; with the end of its output. */
export class WorkerNotReady extends Error {
  override readonly name = 'WorkerNotReady';

  constructor(what: string, output: string) {
    super(`The worker ${what}:\n${output.split('\n').slice(-10).join('\n')}`);
  }
}

const READY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 30_000;

/**
 * Starts the built worker, `node dist/src/worker.js`, as a child, or another program that runs one.
 *
 * @param env decides alone where the worker goes: settings for AWS, Temporal and Keyturn in this process's environment are
 *   not inherited
 */
export async function spawnWorker(
  env: Record<string, string>,
  options: { onLine?: (line: string) => void; program?: string } = {},
): Promise<WorkerProcess> {
  const program = projectFile(...(options.program ?? 'dist/src/worker.js').split('/'));
  if (!existsSync(program)) throw new PartUnavailable('The worker', `${program} does not exist`, 'npm run build');
  const metricsAddress = `${LOOPBACK}:${await freePort()}`;

  let isReady: (addresses: WorkerAddresses) => void;
  const readyLine = new Promise<WorkerAddresses>((resolve) => (isReady = resolve));
  const worker = startProcess(process.execPath, [program], {
    cwd: PROJECT_ROOT,
    env: {
      ...withoutSettings(process.env),
      KEYTURN_HEALTH_ADDRESS: `${LOOPBACK}:0`,
      KEYTURN_METRICS_ADDRESS: metricsAddress,
      ...env,
    },
    keepOutput: Infinity,
    onLine: (line) => {
      options.onLine?.(line);
      const addresses = addressesOf(line);
      if (addresses !== undefined) isReady({ metricsAddress, ...addresses });
    },
  });
  if (worker.pid === undefined) throw new WorkerNotReady('cannot be started', worker.output());

  const ready = Promise.race([readyLine, notReady(worker.exited, worker.output)]);
  // A caller that only waits for the end need not care.
  ready.catch(() => undefined);
  return {
    pid: worker.pid,
    ready,
    exited: worker.exited,
    kill: (signal = 'SIGKILL') => {
      worker.signal(signal);
      return worker.exited;
    },
    stop: () => worker.end('SIGTERM', STOPPED_WITHIN_MS),
    output: worker.output,
  };
}

function addressesOf(line: string): (Partial<WorkerAddresses> & { healthAddress: string }) | undefined {
  if (!line.includes('"worker-ready"')) return undefined;
  try {
    const { event, healthAddress, metricsAddress } = JSON.parse(line) as Record<string, string>;
    if (event !== 'worker-ready' || healthAddress === undefined) return undefined;
    return metricsAddress === undefined ? { healthAddress } : { healthAddress, metricsAddress };
  } catch {
    return undefined;
  }
}

async function notReady(exited: Promise<ProcessEnd>, output: () => string): Promise<never> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`is not ready after ${READY_WITHIN_MS / 1000} s`), READY_WITHIN_MS).unref();
  });
  const early = exited.then(({ code, signal }) => `ended with ${signal ?? `exit code ${code}`} before it was ready`);
  const what = await Promise.race([early, late]);
  clearTimeout(timer);
  throw new WorkerNotReady(what, output());
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const setting = /^(AWS_(?!SDK_JS)|TEMPORAL_|KEYTURN_|LAB_|OTEL_|PG)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !setting.test(name)));
}
