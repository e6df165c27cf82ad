import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { freePort, LOOPBACK } from '../../ports';

/** One address for several pods. */
export interface FakeService {
  /** `http://127.0.0.1:port` */
  url: string;
  stop(): Promise<void>;
}

/** Passes each connection on to the next of the pods that are ready, as kube-proxy does; without one it closes the connection. */
export async function startFakeService(readyPorts: () => number[]): Promise<FakeService> {
  const sockets = new Set<Socket>();
  const kept = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.once('close', () => sockets.delete(socket));
  };
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const ports = readyPorts();
    const port = ports[connections++ % ports.length];
    kept(client).on('error', () => client.destroy());
    if (port === undefined) {
      client.destroy();
      return;
    }
    const pod = kept(connect({ port, host: LOOPBACK, noDelay: true, allowHalfOpen: true }));
    pod.on('error', () => client.destroy());
    client.on('error', () => pod.destroy());
    client.pipe(pod).pipe(client);
  });
  const port = await freePort();
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  return {
    url: `http://${LOOPBACK}:${port}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
