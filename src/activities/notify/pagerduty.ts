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

/** That something may have leaked; the last is an emergency that gave up. */
const LEAKS = ['leak-reported', 'changed-elsewhere', 'emergency'] as const;

/**
 * Sends to PagerDuty's Events API v2. All trouble of one secret's rotations is one incident, whose dedup_key is the secret's ID; its next
 * good rotation resolves it. That something leaked is an incident of its own, which only an emergency rotation resolves: the one that
 * is in its way ends before, and one that goes back takes up what leaked. What concerns a whole environment is one incident for
 * each event; a fleet's is resolved by its next report without failures.
 */
export function createPagerDutyNotifier(
  channel: string,
  { url, routingKey }: PagerDutyChannel,
  stores: CredentialStores,
): Notifier {
  return {
    async send(notification) {
      const routing_key = await readCredential(routingKey, channel, stores);
      const send = (event: object) =>
        post({ channel, system: 'pagerduty', url, body: JSON.stringify({ routing_key, ...event }) });
      if (saysItIsOver(notification.event, notification.severity)) {
        for (const dedup_key of resolvedBy(notification)) await send({ dedup_key, event_action: 'resolve' });
      } else {
        await send({
          dedup_key: keyOf(notification, leakIn(notification)),
          event_action: 'trigger',
          ...incidentOf(notification),
        });
      }
    },
  };
}

type Leak = (typeof LEAKS)[number];

function leakIn({ event, severity }: Notification): Leak | undefined {
  if (event === 'leak-reported' || event === 'changed-elsewhere') return event;
  return severity === 'critical' && (event === 'refused' || event === 'aborted') ? 'emergency' : undefined;
}

/** No name has a `*` in it. */
function keyOf({ environment, secret, event }: Notification, leak?: Leak): string {
  if (secret === undefined) return `keyturn/${environment}/*/${event}`;
  return `keyturn/${secretIdOf(environment, secret)}${leak === undefined ? '' : `/*/${leak}`}`;
}

function resolvedBy(notification: Notification): string[] {
  const leaks = notification.emergency ? LEAKS : [];
  return [keyOf(notification), ...leaks.map((leak) => keyOf(notification, leak))];
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
