import { createHmac } from 'node:crypto';
import type { WebhookChannel } from '../../rotation/notifications';
import { protect } from '../boundary/activity-scope';
import type { CredentialStores } from './credentials';
import { readCredential } from './credentials';
import { post } from './http';
import type { Notifier } from './notifier';
import { never } from './refusals';

const SHORTEST_KEY = 16;

/**
 * Posts the notification as JSON, signed by Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` (seconds since the epoch) and
 * `webhook-signature` (`v1,` and the base64 of the HMAC-SHA256 over `{id}.{timestamp}.{body}`).
 */
export function createWebhookNotifier(channel: string, declared: WebhookChannel, stores: CredentialStores): Notifier {
  return {
    async send(notification) {
      const key = keyBytes(await readCredential(declared.signingKey, channel, stores));
      if (key.length < SHORTEST_KEY) {
        throw never(
          channel,
          `its signing key is shorter than ${SHORTEST_KEY} bytes`,
          'Store a longer one, such as the output of: openssl rand -base64 32',
        );
      }
      const body = JSON.stringify(notification);
      const timestamp = String(Math.floor(Date.now() / 1_000));
      const signature = createHmac('sha256', key).update(`${notification.id}.${timestamp}.${body}`).digest('base64');
      await post({
        channel,
        system: 'webhook',
        url: declared.url,
        headers: {
          'webhook-id': notification.id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
      });
    },
  };
}

/** A key that begins with `whsec_` is base64 from there on; any other is taken as it is written. */
function keyBytes(key: string): Buffer {
  if (!key.startsWith('whsec_')) return Buffer.from(key);
  return Buffer.from(protect(key.slice('whsec_'.length)), 'base64');
}
