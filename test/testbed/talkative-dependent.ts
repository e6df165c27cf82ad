import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LOOPBACK } from '../lab/ports';

/**
 * A workload that is not well and says its value to everybody who asks: in the status line, in headers, in the address that it sends
 * them to and in its page.
 */
export async function startTalkativeDependent(valueNow: () => Promise<string>) {
  const server = createServer((_request, response) => {
    valueNow().then(
      (value) => {
        const encoded = encodeURIComponent(value);
        const headers = { Location: `/?value=${encoded}`, 'X-Value': encoded };
        response.writeHead(503, encoded.slice(0, 60), headers).end(value);
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  const healthUrl = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}/`;
  return {
    declaration: { http: { name: 'a talkative service', healthUrl, timeout: '1 second' } },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
