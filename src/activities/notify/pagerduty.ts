import { secretIdOf } from '../../rotation/names';
import type { PagerDutyChannel } from '../../rotation/notifications';
import { saysItIsOver } from '../../rotation/notifications';
import type { CredentialStores } from './credentials';
import { readCredential } from './credentials';
import { post } from './http';
import type { Notification, Notifier } from './notifier';
import { headlineOf, subjectOf } from './notifier';

/** PD-CEF, field summary. */
const LONGEST_SUMMARY = 1_024;

/**
 * Sends to PagerDuty's Events API v2. All trouble of one secret is one incident, whose dedup_key is the secret's ID; its next good
 * rotation resolves it. What concerns a whole environment is one incident for each event; a fleet's is resolved by its next report
 * without failures.
 */
export function createPagerDutyNotifier(
  channel: string,
  { url, routingKey }: PagerDutyChannel,
  stores: CredentialStores,
): Notifier {
  return {
    async send(notification) {
      const body = JSON.stringify({
        routing_key: await readCredential(routingKey, channel, stores),
        dedup_key: dedupKeyOf(notification),
        ...(saysItIsOver(notification.event, notification.severity)
          ? { event_action: 'resolve' }
          : { event_action: 'trigger', ...incidentOf(notification) }),
      });
      await post({ channel, system: 'pagerduty', url, body });
    },
  };
}

function dedupKeyOf({ environment, secret, event }: Notification): string {
  return `keyturn/${secret === undefined ? `${environment}/*/${event}` : secretIdOf(environment, secret)}`;
}

function incidentOf(notification: Notification) {
  const { event, severity, environment, message, next, runbook, workflowId, runId, at } = notification;
  return {
    client: 'Keyturn',
    ...(/^https?:/.test(runbook) && { links: [{ href: runbook, text: 'Runbook' }] }),
    payload: {
      summary: `${headlineOf(notification)}. ${message}`.slice(0, LONGEST_SUMMARY),
      source: subjectOf(notification),
      severity,
      timestamp: at,
      group: environment,
      class: event,
      custom_details: { message, next, runbook, workflowId, runId },
    },
  };
}
