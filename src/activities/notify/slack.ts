import type { SlackChannel } from '../../rotation/notifications';
import type { CredentialStores } from './credentials';
import { readCredential } from './credentials';
import { post } from './http';
import type { Notifier } from './notifier';
import { headlineOf, textOf } from './notifier';
import { never } from './refusals';

/** Slack cuts what is longer (Slack API, 'Posting messages using incoming webhooks'). */
const LONGEST_TEXT = 40_000;

const MARK = { info: ':information_source:', warning: ':warning:', critical: ':rotating_light:' } as const;

/** Posts to an incoming webhook of Slack, or of a service that takes the same (Mattermost, Rocket.Chat). */
export function createSlackNotifier(channel: string, { url }: SlackChannel, stores: CredentialStores): Notifier {
  return {
    async send(notification) {
      const address = await readCredential(url, channel, stores);
      if (!/^https?:$/.test(URL.canParse(address) ? new URL(address).protocol : '')) {
        throw never(channel, 'what the catalog names as its url is not an address', 'Store the whole address there.');
      }
      const text = `${MARK[notification.severity]} *${escaped(headlineOf(notification))}*\n${escaped(textOf(notification))}`;
      const body = JSON.stringify({ text: text.slice(0, LONGEST_TEXT) });
      await post({ channel, system: 'slack', url: address, body });
    },
  };
}

/** So that no text becomes a link or calls everybody (Slack API, 'Formatting text'). */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
