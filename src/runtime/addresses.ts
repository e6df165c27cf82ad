import { createServer, isIP } from 'node:net';

/** Where a server listens. */
export interface ListenAddress {
  /** An IP address, without brackets. */
  host: string;
  /** 0 means any free port. */
  port: number;
}

/**
 * Reads `127.0.0.1:9465`, `[::1]:9465` or `localhost:9465`. Names other than localhost are refused, because what a name
 * resolves to decides who can connect.
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const named = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (named === undefined || port > 65_535) return undefined;
  const host = named === 'localhost' ? '127.0.0.1' : named;
  return isIP(host) ? { host, port } : undefined;
}

/** The inverse of {@link parseListenAddress}. */
export function formatAddress({ host, port }: ListenAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Replaces port 0 by a port that is free now, for servers that do not tell which one they took.
 *
 * @throws Error with `code` EADDRINUSE, EADDRNOTAVAIL or EACCES when the address cannot be listened on.
 */
export async function claimPort(address: ListenAddress): Promise<ListenAddress> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { host: address.host, port: typeof bound === 'object' && bound ? bound.port : address.port };
}
