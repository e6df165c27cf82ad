import type { IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { startLoopbackServer } from '../lab/loopback-server';
import type { OddAnswer } from './fake-key-service-faults';

export interface SeenRequest {
  method: string;
  /** As it was sent: path and query, still encoded. */
  target: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A service that remembers what it is sent and gives the same answer to everything, for requests and answers of any shape. */
export interface ScriptedKeyService {
  url: string;
  seen: SeenRequest[];
  answer(next: OddAnswer): void;
  stop(): Promise<void>;
}

export async function startScriptedKeyService(): Promise<ScriptedKeyService> {
  const seen: SeenRequest[] = [];
  let answer: OddAnswer = { status: 200, body: '{}' };
  const { origin, stop } = await startLoopbackServer((request, response) => {
    void text(request).then(
      (body) => {
        seen.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers, body });
        response.writeHead(answer.status, answer.headers).end(answer.body);
      },
      () => response.destroy(),
    );
  });
  return {
    url: origin,
    seen,
    answer(next) {
      answer = next;
    },
    stop,
  };
}
