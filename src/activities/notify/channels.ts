import type { NotificationChannel } from '../../rotation/notifications';
import type { CredentialStores } from './credentials';
import { createEmailNotifier } from './email';
import type { Notifier } from './notifier';
import { createPagerDutyNotifier } from './pagerduty';
import { createSlackNotifier } from './slack';
import type { SnsClients } from './sns';
import { createSnsNotifier } from './sns';
import { createWebhookNotifier } from './webhook';

/** What channels need of the worker. */
export interface NotifierParts extends CredentialStores {
  sns: SnsClients;
  /** The worker's log. */
  log: Notifier;
}

/** The notifier of a channel that the catalog declares. @param name the channel's, for messages. */
export function notifierOf(name: string, channel: NotificationChannel, parts: NotifierParts): Notifier {
  switch (channel.type) {
    case 'sns':
      return createSnsNotifier(name, channel, parts.sns);
    case 'slack':
      return createSlackNotifier(name, channel, parts);
    case 'webhook':
      return createWebhookNotifier(name, channel, parts);
    case 'email':
      return createEmailNotifier(name, channel, parts);
    case 'pagerduty':
      return createPagerDutyNotifier(name, channel, parts);
    case 'log':
      return parts.log;
  }
}
