import { setTimeout as delay } from 'node:timers/promises';
import { PartUnavailable, reportFor, secondsSince, type Report } from './part';
import { freePort, LOOPBACK } from './ports';
import { lastLines, startProcess, type RunningProcess } from './processes';
import { pythonOf, pythonUnavailable, withoutPythonSettings, type VirtualEnvironment } from './python';

const VERSION = '1.5.33';
const PACKAGE = `ministack==${VERSION}`;
const PART = 'AWS (ministack)';
const READY_WITHIN_MS = 60_000;
const ATTEMPTS = 3;

const ENVIRONMENT: VirtualEnvironment = { name: `ministack-${VERSION}`, packages: [PACKAGE] };

/**
 * Another AWS than moto's, for what moto cannot do: CloudFormation with alarms in it. Nothing that needs idempotent tokens or locked
 * keys may rest on it.
 */
export interface Ministack {
  /** For `endpoint` of AWS's clients. */
  endpoint: string;
  stop(): Promise<void>;
}

/** Why this machine cannot have it, as far as that can be said at once; a test file skips with the message. */
export function ministackUnavailable(): PartUnavailable | undefined {
  return pythonUnavailable(PART, ENVIRONMENT);
}

/**
 * Starts one of its own on a free loopback port.
 *
 * @throws {PartUnavailable}
 */
export async function startMinistack(report: Report): Promise<Ministack> {
  const say = reportFor('ministack', report);
  const python = await pythonOf(ENVIRONMENT, say).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PartUnavailable(PART, reason, `pip install ${PACKAGE}`);
  });
  const startedAt = Date.now();
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = await freePort();
    const endpoint = `http://${LOOPBACK}:${port}`;
    const server = startProcess(python, ['-m', 'ministack'], {
      env: { ...withoutPythonSettings(), BIND_HOST: LOOPBACK, MINISTACK_HOST: LOOPBACK, GATEWAY_PORT: `${port}` },
    });
    if (await isReady(server, endpoint)) {
      say(`ready on ${LOOPBACK}:${port} (ministack ${VERSION}, ${secondsSince(startedAt)})`);
      return { endpoint, stop: async () => void (await server.end('SIGTERM')) };
    }
    await server.end('SIGKILL');
    failure = lastLines(server.output());
  }
  throw new PartUnavailable(PART, `it does not start (${failure})`, `pip install ${PACKAGE}`);
}

async function isReady(server: RunningProcess, endpoint: string): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (server.isRunning() && Date.now() < deadline) {
    const answer = await fetch(`${endpoint}/_ministack/health`).catch(() => undefined);
    if (answer?.ok) return true;
    await delay(100);
  }
  return false;
}
