import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { startLoopbackServer } from '../lab/loopback-server';

const DAY_MS = 86_400_000;
const ROTATION_SCOPE = 'sellingpartnerapi::client_credential:rotation';
const SCOPES = new Set([ROTATION_SCOPE, 'sellingpartnerapi::notifications']);

/** How the fake behaves from now on; change it at any time. */
export interface FakeBehaviour {
  /** How long the notification takes to the queue, in milliseconds. */
  notificationDelayMs: number;
  /** Makes a secret and sends it, and then breaks the connection in place of the 204. As many times. */
  loseAnswers: number;
  /** Statuses of the next answers to a request for a secret, none of which has an effect. */
  refuseWith: number[];
  /** The same for requests for a token. */
  refuseTokensWith: number[];
  /** How long a secret works that was replaced, in milliseconds; 7 days at Amazon. */
  oldSecretLifeMs: number;
  /** The shortest time between two new secrets, in milliseconds; a minute at Amazon. */
  betweenSecretsMs: number;
}

interface ClientSecret {
  value: string;
  expiresAt: number;
}

/**
 * One Selling Partner application at Login with Amazon and the Selling Partner API, on loopback, as their documentation describes them. What
 * it makes goes to a real SQS queue.
 */
export async function startFakeSellingPartnerApi(application: {
  sqs: SQSClient;
  queueUrl: string;
  clientId: string;
  clientSecret: string;
}) {
  const { sqs, queueUrl, clientId } = application;
  const secrets: ClientSecret[] = [{ value: application.clientSecret, expiresAt: Date.now() + 180 * DAY_MS }];
  const tokens = new Map<string, { scope: string; expiresAt: number }>();
  const values = new Set([application.clientSecret]);
  const pending = new Set<NodeJS.Timeout>();
  const sending = new Set<Promise<unknown>>();
  const seen = { tokenRequests: 0, secretRequests: 0, secretsMade: 0 };
  let lastMadeAt = Number.NEGATIVE_INFINITY;
  const behaviour: FakeBehaviour = {
    notificationDelayMs: 0,
    loseAnswers: 0,
    refuseWith: [],
    refuseTokensWith: [],
    oldSecretLifeMs: 7 * DAY_MS,
    betweenSecretsMs: 60_000,
  };

  function keep(value: string): string {
    values.add(value);
    return value;
  }

  function accepts(value: string | null): boolean {
    return secrets.some((secret) => secret.value === value && secret.expiresAt > Date.now());
  }

  async function giveToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    seen.tokenRequests++;
    const form = new URLSearchParams(await textOf(request));
    const refused = behaviour.refuseTokensWith.shift();
    if (refused !== undefined) {
      if (refused === 429) response.setHeader('Retry-After', '3');
      return answer(response, refused, { error: 'ServerError' });
    }
    if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
      return answer(response, 400, {
        error: 'invalid_request',
        error_description: 'The content type is not supported',
      });
    }
    if (form.get('client_id') !== clientId || !accepts(form.get('client_secret'))) {
      return answer(response, 401, { error: 'invalid_client', error_description: 'Client authentication failed' });
    }
    if (form.get('grant_type') !== 'client_credentials') {
      return answer(response, 400, { error: 'unsupported_grant_type', error_description: 'Not a grantless request' });
    }
    const scope = form.get('scope') ?? '';
    if (!SCOPES.has(scope)) {
      return answer(response, 400, { error: 'invalid_scope', error_description: 'An unknown scope was requested' });
    }
    const token = keep(`Atc|${randomBytes(48).toString('base64url')}`);
    tokens.set(token, { scope, expiresAt: Date.now() + 3_600_000 });
    answer(response, 200, { access_token: token, scope, token_type: 'bearer', expires_in: 3_600 });
  }

  function makeSecret(request: IncomingMessage, response: ServerResponse): void {
    seen.secretRequests++;
    const refused = behaviour.refuseWith.shift();
    if (refused !== undefined) return refuse(response, refused, `refused with ${refused}`);
    const token = tokens.get(String(request.headers['x-amz-access-token']));
    if (!token || token.expiresAt <= Date.now() || token.scope !== ROTATION_SCOPE) {
      return refuse(response, 403, 'Access to requested resource is denied.');
    }
    if (Date.now() - lastMadeAt < behaviour.betweenSecretsMs) {
      return refuse(response, 429, 'You exceeded your quota for the requested resource.');
    }
    lastMadeAt = Date.now();
    seen.secretsMade++;
    const old = secrets.at(-1);
    if (old) old.expiresAt = lastMadeAt + behaviour.oldSecretLifeMs;
    const made = {
      value: keep(`amzn1.oa2-cs.v1.${randomBytes(32).toString('hex')}`),
      expiresAt: lastMadeAt + 180 * DAY_MS,
    };
    secrets.push(made);
    notifySoon({
      clientId,
      newClientSecret: made.value,
      newClientSecretExpiryTime: new Date(made.expiresAt).toISOString(),
      oldClientSecretExpiryTime: new Date(old?.expiresAt ?? lastMadeAt).toISOString(),
    });
    if (behaviour.loseAnswers > 0) {
      behaviour.loseAnswers--;
      response.destroy();
      return;
    }
    response.writeHead(204, { 'x-amzn-RateLimit-Limit': '0.0167', 'x-amzn-RequestId': randomUUID() }).end();
  }

  function notifySoon(applicationOAuthClientNewSecret: object): void {
    const body = newSecretMessage(applicationOAuthClientNewSecret);
    keep(body);
    const timer = setTimeout(() => {
      pending.delete(timer);
      const sent = sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }));
      const ended: Promise<unknown> = sent.catch(() => undefined).finally(() => sending.delete(ended));
      sending.add(ended);
    }, behaviour.notificationDelayMs);
    pending.add(timer);
  }

  const server = await startLoopbackServer((request, response) => {
    const route = `${request.method} ${request.url}`;
    if (route === 'POST /auth/o2/token') giveToken(request, response).catch(() => response.destroy());
    else if (route === 'POST /applications/2023-11-30/clientSecret') makeSecret(request, response);
    else refuse(response, 404, 'The resource is not found.');
  });
  const endpoint = server.origin;

  return {
    endpoint,
    tokenUrl: `${endpoint}/auth/o2/token`,
    behaviour,
    /** How many requests came, and how many secrets were made. */
    seen,
    accepts,
    /** Ends every secret but the newest at once. */
    expireOldNow(): void {
      for (const secret of secrets.slice(0, -1)) secret.expiresAt = Date.now();
    },
    /** Everything secret that it was given or made: client secrets, tokens, messages. */
    everyValue: (): string[] => [...values],
    /** Drops notifications that are not sent yet. */
    async stop(): Promise<void> {
      for (const timer of pending) clearTimeout(timer);
      await Promise.all(sending);
      await server.stop();
    },
  };
}

export type FakeSellingPartnerApi = Awaited<ReturnType<typeof startFakeSellingPartnerApi>>;

/** The body of an APPLICATION_OAUTH_CLIENT_NEW_SECRET notification. */
export function newSecretMessage(applicationOAuthClientNewSecret: object, eventTime = new Date()): string {
  return JSON.stringify({
    notificationVersion: '1.0',
    notificationType: 'APPLICATION_OAUTH_CLIENT_NEW_SECRET',
    payloadVersion: '2023-11-30',
    eventTime: eventTime.toISOString(),
    payload: { applicationOAuthClientNewSecret },
    notificationMetadata: {
      applicationId: `amzn1.sp.solution.${randomUUID()}`,
      subscriptionId: randomUUID(),
      publishTime: eventTime.toISOString(),
      notificationId: randomUUID(),
    },
  });
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const code = { 403: 'Unauthorized', 404: 'NotFound', 429: 'QuotaExceeded' }[status] ?? 'InvalidInput';
  if (status === 429) response.setHeader('x-amzn-RateLimit-Limit', '0.0167');
  answer(response, status, { errors: [{ code, message, details: '' }] });
}
