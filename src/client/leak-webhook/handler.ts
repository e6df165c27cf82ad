import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { LeakWebhook } from './leak-webhook';
import type { FunctionUrlAnswer, FunctionUrlEvent } from './leak-webhook';
import { SigningKeys } from './signing-keys';

/** Kept between invocations, with the keys. */
let webhook: LeakWebhook | undefined;

/**
 * The function behind the webhook for leaks: `keyturn/dist/src/client/leak-webhook/handler.handler`, behind a Lambda function URL. It
 * needs `KEYTURN_EVENTS_QUEUE_URL`, the queue that `events.queueUrl` names in the catalog, and `KEYTURN_WEBHOOK_KEY_SECRET`, the secret
 * that holds the signing key.
 *
 * @throws Error when it is not configured, or AWS does not do what it is asked; the sender gets a status of 502 and sends it again.
 */
export async function handler(event: FunctionUrlEvent): Promise<FunctionUrlAnswer> {
  webhook ??= new LeakWebhook(
    new SigningKeys(new SecretsManagerClient({}), setting('KEYTURN_WEBHOOK_KEY_SECRET')),
    new SQSClient({}),
    setting('KEYTURN_EVENTS_QUEUE_URL'),
  );
  return webhook.answer(event);
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. Nothing was reported.`);
  return value;
}
