import { SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { readEvent } from '../../runtime/events/reading';
import type { SigningKeys } from './signing-keys';

/** What is used of the event of a function URL (AWS Lambda Developer Guide, 'Invoking Lambda function URLs', payload format 2.0). */
export interface FunctionUrlEvent {
  headers?: Record<string, string | undefined>;
  body?: string;
  isBase64Encoded?: boolean;
  requestContext?: { http?: { method?: string } };
}

export interface FunctionUrlAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

/** What `webhook-id` may be: it becomes part of a workflow's ID. */
const WEBHOOK_ID = /^[\w.:-]{1,128}$/;
const MOST_BYTES = 16 * 1024;

/** Takes signed reports of leaks, and puts them on the queue that the workers poll. */
export class LeakWebhook {
  constructor(
    private readonly keys: SigningKeys,
    private readonly sqs: SQSClient,
    private readonly queueUrl: string,
  ) {}

  /**
   * Answers 202 when the report is on the queue, under its `webhook-id`, so that one that is sent again is acted on once; 401 when it is
   * not signed, 400 or 413 when it is no report, 405 when it is no POST. Nothing was reported then.
   *
   * @throws Error when the keys cannot be read or the queue does not take it: the sender should send it again.
   */
  async answer(event: FunctionUrlEvent): Promise<FunctionUrlAnswer> {
    if (event.requestContext?.http?.method !== 'POST') return refused(405, 'Only POST is taken.');
    const body = bodyOf(event);
    if (Buffer.byteLength(body) > MOST_BYTES) return refused(413, `A report has at most ${MOST_BYTES} bytes.`);
    const headers = headersOf(event);
    // Whoever has no key is told nothing about what he sent.
    if (!(await this.keys.haveSigned(body, headers))) {
      return refused(401, 'It is not signed with the key, by Standard Webhooks, in the last five minutes.');
    }
    const id = headers['webhook-id'] ?? '';
    if (!WEBHOOK_ID.test(id)) return refused(400, 'webhook-id is not 1 to 128 letters, digits, dots, colons, hyphens.');
    const read = readEvent(body);
    if (!('kind' in read) || read.kind !== 'leak') {
      return refused(400, 'The body is not {"environment": "...", "secret": "...", "reason": "..."}.');
    }
    const { environment, secret, reason } = read;
    const message = JSON.stringify({ id, environment, secret, reason });
    await this.sqs.send(new SendMessageCommand({ QueueUrl: this.queueUrl, MessageBody: message }));
    return answer(202, { accepted: `${environment}/${secret}` });
  }
}

function bodyOf({ body = '', isBase64Encoded }: FunctionUrlEvent): string {
  return isBase64Encoded ? Buffer.from(body, 'base64').toString('utf8') : body;
}

function headersOf({ headers = {} }: FunctionUrlEvent): Record<string, string> {
  const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), value]));
}

function refused(statusCode: number, why: string): FunctionUrlAnswer {
  return answer(statusCode, { error: `${why} Nothing was reported.` });
}

function answer(statusCode: number, content: object): FunctionUrlAnswer {
  return { statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(content) };
}
