import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { freePort, LOOPBACK } from '../lab/ports';

/** What passed through one connection, TLS and all. */
export interface TappedConnection {
  /** Milliseconds, of `Date.now()`. */
  openedAt: number;
  sent: Buffer;
  answered: Buffer;
}

/**
 * What a tap does with connections: pass everything on, accept them and never answer (a target behind a firewall that drops
 * packets), or close them at once (a proxy whose target is gone).
 */
export type TapMode = 'pass' | 'silent' | 'hang-up';

export interface WireTap {
  port: number;
  mode: TapMode;
  /** Every connection so far, oldest first. */
  connections: TappedConnection[];
  /** Cuts a connection in place of passing on an answer; told of each answer with all that the connection carried so far. */
  loseAnswer?: (answer: Buffer, connection: TappedConnection) => boolean;
  stop(): Promise<void>;
}

/** Stands in front of a server on a free loopback port and keeps every byte of both directions. */
export async function startWireTap(upstreamPort: number): Promise<WireTap> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const connection: TappedConnection = {
      openedAt: Date.now(),
      sent: Buffer.alloc(0),
      answered: Buffer.alloc(0),
    };
    tap.connections.push(connection);
    sockets.add(client);
    client.on('error', () => undefined);
    client.once('close', () => sockets.delete(client));
    if (tap.mode === 'hang-up') client.destroy();
    else pass(tap, client, connection, tap.mode === 'silent' ? undefined : upstreamPort);
  });
  const port = await freePort();
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  const tap: WireTap = {
    port,
    mode: 'pass',
    connections: [],
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return tap;
}

function pass(tap: WireTap, client: Socket, connection: TappedConnection, upstreamPort: number | undefined): void {
  const upstream =
    upstreamPort === undefined ? undefined : connect({ port: upstreamPort, host: LOOPBACK, noDelay: true });
  const cut = (): void => {
    client.destroy();
    upstream?.destroy();
  };
  client.on('data', (bytes) => {
    connection.sent = Buffer.concat([connection.sent, bytes]);
    upstream?.write(bytes);
  });
  client.on('end', () => (upstream ? upstream.end() : client.end()));
  client.on('close', cut);
  upstream?.on('data', (bytes) => {
    connection.answered = Buffer.concat([connection.answered, bytes]);
    if (tap.loseAnswer?.(bytes, connection)) cut();
    else client.write(bytes);
  });
  upstream?.on('end', () => client.end());
  upstream?.on('error', cut);
}
