import type { IncomingMessage, ServerResponse } from 'node:http';
import { startLoopbackServer } from '../lab/loopback-server';
import { bytesOf, passOn } from './passing-on';

/** One call of Secrets Manager as it was made. */
export interface SeenCall {
  /** Such as `PutSecretValue`. */
  operation: string;
  body: { SecretId?: string; SecretString?: string; ClientRequestToken?: string };
}

/** What it answers in place of the upstream; gets the call, and for a read the upstream's answer. */
type Answer = (call: SeenCall, answered: string) => { status: number; body: string };

export interface QuotingAws {
  endpoint: string;
  calls: SeenCall[];
  /** Answers an operation on a secret so from now on. The upstream carries out reads, and does not hear of writes. */
  answer(operation: string, secretId: string, answer: Answer): void;
  stop(): Promise<void>;
}

/** Answers that quote what they were asked or should have answered, as no server must but some do. */
export const QUOTING = {
  /** An error that the client knows, with the request in its message. */
  knownError: ({ body }: SeenCall) => awsError('InvalidParameterException', `Bad request: ${JSON.stringify(body)}`),
  /** One whose very type is the value. */
  unknownError: ({ body }: SeenCall) => {
    const { password } = JSON.parse(body.SecretString ?? '{}') as { password?: string };
    return awsError(password ?? '', `unknown: ${body.SecretString}`);
  },
  /** A page of a gateway that shows what it could not pass on. */
  page: ({ body }: SeenCall) => ({ status: 502, body: `<h1>Bad gateway</h1><pre>${JSON.stringify(body)}</pre>` }),
  /** The right answer, cut off: parsers quote what they cannot read. */
  cutOff: (_call: SeenCall, answered: string) => ({ status: 200, body: answered.slice(0, -2) }),
} satisfies Record<string, Answer>;

function awsError(type: string, message: string) {
  return { status: 400, body: JSON.stringify({ __type: type, message }) };
}

/** Secrets Manager behind a proxy that keeps every call and can answer in its place. */
export async function startQuotingAws(upstream: string): Promise<QuotingAws> {
  const calls: SeenCall[] = [];
  const answers = new Map<string, Answer>();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await bytesOf(request);
    const operation = String(request.headers['x-amz-target'] ?? '').split('.')[1] ?? '';
    const call: SeenCall = { operation, body: JSON.parse(sent.toString() || '{}') as SeenCall['body'] };
    calls.push(call);
    const answer = answers.get(`${operation} ${call.body.SecretId}`);
    if (answer && operation.startsWith('Put')) return reply(response, answer(call, ''));
    const { status, headers, body } = await passOn(upstream, request, sent);
    if (answer) return reply(response, answer(call, body.toString()));
    response.writeHead(status, headers).end(body);
  }

  const { origin, stop } = await startLoopbackServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  return {
    endpoint: origin,
    calls,
    answer: (operation, secretId, answer) => void answers.set(`${operation} ${secretId}`, answer),
    stop,
  };
}

function reply(response: ServerResponse, { status, body }: { status: number; body: string }): void {
  response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(body);
}
