import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { ListenAddress } from './addresses';
import { formatAddress } from './addresses';
import { StartupError } from './startup-error';

/** One condition of readiness. */
export interface ReadinessCheck {
  name: string;
  /** Answers with what is wrong, or `undefined` when nothing is. */
  problem(): Promise<string | undefined> | string | undefined;
}

interface HealthServer {
  /** `host:port` as bound. */
  address: string;
  close(): Promise<void>;
}

/**
 * Serves `GET /healthz` (200 as long as the process answers: restart it otherwise) and `GET /readyz` (200 when every
 * check passes, else 503). Both answer with JSON; /readyz lists each check with `ok` and, where something is wrong,
 * `problem`.
 *
 * @throws StartupError when the address cannot be listened on.
 */
export async function startHealthServer(
  address: ListenAddress,
  checks: readonly ReadinessCheck[],
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void answer(request, response, checks);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new StartupError(
          `KEYTURN_HEALTH_ADDRESS: cannot listen on ${formatAddress(address)} (${error.code}). Free the port or set another; port 0 takes any free one.`,
        ),
      ),
    );
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address();
  return {
    address: formatAddress({
      host: address.host,
      port: typeof bound === 'object' && bound ? bound.port : address.port,
    }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  checks: readonly ReadinessCheck[],
): Promise<void> {
  const path = request.url?.split('?')[0];
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(response, 405, { error: 'only GET is answered' });
  if (path === '/healthz') return send(response, 200, { status: 'alive' });
  if (path !== '/readyz') return send(response, 404, { error: 'try /healthz or /readyz' });
  const results = await Promise.all(checks.map(run));
  const ready = results.every(({ ok }) => ok);
  send(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks: results });
}

async function run(check: ReadinessCheck): Promise<{ name: string; ok: boolean; problem?: string }> {
  let problem: string | undefined;
  try {
    problem = await check.problem();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  return problem === undefined ? { name: check.name, ok: true } : { name: check.name, ok: false, problem };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}
