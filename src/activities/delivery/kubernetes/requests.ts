import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { RequestOptions } from 'node:https';

/** A delivery makes its calls within seconds. What is between here and the API server may drop longer silences without a word. */
const CLOSED_WHEN_IDLE_MS = 10_000;

/** One request; its answer's body is still to be read. */
export type Send = (path: string, options: RequestOptions, body: string | undefined) => Promise<IncomingMessage>;

/**
 * Requests to one server over connections that stay open for a while: with a TLS handshake for each, most calls of a delivery would
 * take several times as long. Requests with other certificates, keys or authorities do not share a connection.
 *
 * A request that the server may not have seen, because a connection that had been used before was cut, is sent once more over a new
 * one. All requests here can be repeated.
 *
 * @param server `https://host:port`, or `http://`.
 */
export function requestsTo(server: string): Send {
  const isPlain = server.startsWith('http:');
  const settings = { keepAlive: true, timeout: CLOSED_WHEN_IDLE_MS };
  const agent = isPlain ? new HttpAgent(settings) : new HttpsAgent(settings);
  const request = isPlain ? requestHttp : requestHttps;

  function send(path: string, options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(`${server}${path}`, options);
      let isAnswered = false;
      sent.once('response', (response) => {
        isAnswered = true;
        resolve(response);
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        const wasCut = sent.reusedSocket && !isAnswered && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (wasCut) resolve(send(path, { ...options, agent: false }, body));
        else reject(error);
      });
      sent.end(body);
    });
  }
  return (path, options, body) => send(path, { agent, ...options }, body);
}
