import { startLoopbackServer } from '../lab/loopback-server';

/**
 * A workload that is not well and says its value to everybody who asks: in the status line, in headers, in the address that it sends
 * them to and in its page.
 */
export async function startTalkativeDependent(valueNow: () => Promise<string>) {
  const { origin, stop } = await startLoopbackServer((_request, response) => {
    valueNow().then(
      (value) => {
        const encoded = encodeURIComponent(value);
        const headers = { Location: `/?value=${encoded}`, 'X-Value': encoded };
        response.writeHead(503, encoded.slice(0, 60), headers).end(value);
      },
      () => response.destroy(),
    );
  });
  return {
    declaration: { http: { name: 'a talkative service', healthUrl: `${origin}/`, timeout: '1 second' } },
    stop,
  };
}
