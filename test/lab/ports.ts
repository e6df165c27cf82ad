import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/**
 * Below the range that Linux (32768) and macOS (49152) take outgoing ports from. Inside it, a client that keeps trying to reach
 * a stopped part can be given the part's own port, connects to itself, and the part cannot come back.
 */
const LOWEST_PORT = 15_000;
const HIGHEST_PORT = 32_000;

/** A loopback port that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await canListenOn(port)) return port;
  }
}

/** As many different free loopback ports as asked for. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function canListenOn(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, LOOPBACK, () => server.close(() => resolve(true)));
  });
}
