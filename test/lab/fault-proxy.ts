import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort, LOOPBACK } from './ports';
import { opaqueWire, type Wire } from './wire';
import { httpWire, looksLikeHttp } from './wire-http';
import { looksLikePostgres, postgresWire } from './wire-postgres';

/** Whether a fault is meant for this request: an HTTP request, or a PostgreSQL statement with the protocol's bytes around it. */
export type RequestMatch = (requestBytes: Buffer) => boolean;

export interface FaultProxy {
  port: number;
  /** How many requests were matched by a fault so far. */
  readonly hits: number;
  /** Refuses new connections and cuts the open ones, as a server that is down. */
  refuse(): Promise<void>;
  /** Ends {@link refuse}. */
  accept(): Promise<void>;
  /**
   * Loses the answer: a matching request reaches the upstream and is carried out; once its answer is complete, both connections
   * are cut and the answer is not passed on.
   */
  cutAfterAnswer(match: RequestMatch, times?: number): void;
  /**
   * Answers a matching HTTP request in the upstream's place, which does not see it, and closes the connection.
   *
   * @param httpResponse the whole response; see {@link awsErrorResponse}
   */
  answerWith(match: RequestMatch, httpResponse: string, times?: number): void;
  stop(): Promise<void>;
}

interface Fault {
  match: RequestMatch;
  timesLeft: number;
  /** Absent: cut after the answer. */
  response?: string;
}

/**
 * A proxy for HTTP (AWS) and PostgreSQL without TLS, on a free loopback port, that loses answers, refuses connections and
 * throttles as told. Without a fault it passes everything on.
 */
export async function startFaultProxy(upstreamPort: number): Promise<FaultProxy> {
  const port = await freePort();
  const faults: Fault[] = [];
  const connections = new Set<Socket>();
  let hits = 0;

  const takeFault = (request: Buffer): Fault | undefined => {
    const fault = faults.find(({ match, timesLeft }) => timesLeft > 0 && match(request));
    if (fault === undefined) return undefined;
    fault.timesLeft -= 1;
    hits += 1;
    return fault;
  };
  const listen = async (): Promise<Server> => {
    const listening = createServer({ noDelay: true }, (client) => {
      connections.add(client);
      client.once('close', () => connections.delete(client));
      forward(client, upstreamPort, takeFault);
    });
    listening.listen(port, LOOPBACK);
    await once(listening, 'listening');
    return listening;
  };
  let server: Server | undefined = await listen();
  const refuse = async (): Promise<void> => {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server = undefined;
    for (const connection of connections) connection.destroy();
    await closed;
  };

  return {
    port,
    get hits() {
      return hits;
    },
    refuse,
    accept: async () => {
      server ??= await listen();
    },
    cutAfterAnswer: (match, times = 1) => void faults.push({ match, timesLeft: times }),
    answerWith: (match, response, times = 1) => void faults.push({ match, timesLeft: times, response }),
    stop: refuse,
  };
}

/** An error as AWS's JSON protocol gives it, for {@link FaultProxy.answerWith}: type `ThrottlingException` and the like. */
export function awsErrorResponse(type: string, message: string, status = 400): string {
  const body = JSON.stringify({ __type: type, message });
  return [
    `HTTP/1.1 ${status} Error`,
    'Content-Type: application/x-amz-json-1.1',
    `X-Amzn-ErrorType: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function forward(client: Socket, upstreamPort: number, takeFault: (request: Buffer) => Fault | undefined): void {
  const upstream = connect({ port: upstreamPort, host: LOOPBACK, noDelay: true });
  let wire: Wire | undefined;
  let losesAnswer = false;
  const cut = (): void => {
    client.destroy();
    upstream.destroy();
  };

  client.on('data', (bytes) => {
    wire ??= wireOf(bytes);
    for (const request of wire.requests(bytes)) {
      const fault = request.matchable ? takeFault(request.bytes) : undefined;
      if (fault?.response !== undefined) {
        client.end(fault.response);
        upstream.destroy();
        return;
      }
      losesAnswer ||= fault !== undefined;
      upstream.write(request.bytes);
    }
  });
  upstream.on('data', (bytes) => {
    const complete = wire?.answerIsComplete(bytes) ?? false;
    if (!losesAnswer) client.write(bytes);
    else if (complete) cut();
  });

  client.on('end', () => upstream.end());
  upstream.on('end', () => (losesAnswer ? cut() : client.end()));
  client.on('error', cut);
  upstream.on('error', cut);
  client.on('close', () => upstream.destroy());
}

function wireOf(firstBytes: Buffer): Wire {
  if (looksLikeHttp(firstBytes)) return httpWire();
  return looksLikePostgres(firstBytes) ? postgresWire() : opaqueWire();
}
