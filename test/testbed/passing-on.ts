import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** What an upstream answered. */
export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Makes a request of somebody else's at the upstream, for a server that stands in front of it. */
export async function passOn(upstream: string, request: IncomingMessage, sent: Buffer): Promise<Answered> {
  const { method, headers, url } = request;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(new URL(url ?? '/', upstream), { method, headers }, resolve)
      .once('error', reject)
      .end(sent);
  });
  const { statusCode: status = 502, headers: answered } = answer;
  return { status, headers: answered, body: await bytesOf(answer) };
}

export async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
