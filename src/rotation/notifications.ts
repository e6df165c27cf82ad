import { secretIdOf } from './names';

/** What people are told, how it is routed, and where it goes. The catalog makes these; credentials are only named in them. */

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * Each event and its usual severity; a fleet report with failures in it is a warning, and that KMS itself rotated a key, or that nothing is
 * overdue, is only for information.
 */
export const EVENT_SEVERITY = {
  'rotation-started': 'info',
  rotated: 'info',
  aborted: 'info',
  /** It could not start; nothing was changed. */
  refused: 'warning',
  /** It failed, and everything was undone. */
  'rolled-back': 'warning',
  /** It failed, and something is left to do by hand. */
  'rollback-incomplete': 'critical',
  /** The new version is in use, and the old one could not be retired. */
  'retirement-incomplete': 'critical',
  'grace-ending': 'info',
  /** The old credential is in use at the end of its grace period. */
  'still-used': 'warning',
  /** Older than the catalog allows. */
  overdue: 'warning',
  'review-due': 'info',
  'fleet-report': 'info',
  /** Somebody says that it leaked. */
  'leak-reported': 'critical',
  /** Somebody other than Keyturn changed it, or asked AWS to. */
  'changed-elsewhere': 'warning',
  /** A KMS key that encrypts secrets or backups was disabled, scheduled for deletion, or rotated. */
  'kms-key-changed': 'critical',
} as const satisfies Record<string, Severity>;

export type NotificationEvent = keyof typeof EVENT_SEVERITY;
export const NOTIFICATION_EVENTS = Object.keys(EVENT_SEVERITY) as NotificationEvent[];

/** Which channels are told of what. */
export interface NotificationRoute {
  channels: string[];
  /** Every event when absent. */
  events?: NotificationEvent[];
  /** The least; every one when absent. */
  severity?: Severity;
  /** Only of what says that trouble is over, see {@link saysItIsOver}. */
  onlyEnds?: true;
}

/**
 * Whether it says that trouble is over, by which an incident is resolved: a fleet's report without failures in it, and an age check that
 * found nothing overdue, too.
 */
export function saysItIsOver(event: NotificationEvent, severity: Severity): boolean {
  return event === 'rotated' || ((event === 'fleet-report' || event === 'overdue') && severity === 'info');
}

/** The names of the channels that are told, each once. */
export function channelsFor(
  routes: readonly NotificationRoute[],
  event: NotificationEvent,
  severity: Severity,
): string[] {
  // Every day without anything overdue is news only to who has an incident open.
  const onlyToResolve = event === 'overdue' && severity === 'info';
  const taken = routes.filter(
    (route) =>
      (route.events === undefined || route.events.includes(event)) &&
      (route.onlyEnds ? saysItIsOver(event, severity) : !onlyToResolve) &&
      SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(route.severity ?? 'info'),
  );
  return [...new Set(taken.flatMap(({ channels }) => channels))];
}

/** Where a channel's credential is: never in the catalog itself. */
export type CredentialSource =
  | { kind: 'env'; name: string }
  /** A secret of Secrets Manager by its full name, and the field when it is JSON. */
  | { kind: 'secret'; secretId: string; field?: string };

export interface SnsChannel {
  type: 'sns';
  topicArn: string;
}

export interface SlackChannel {
  type: 'slack';
  url: CredentialSource;
}

export interface WebhookChannel {
  type: 'webhook';
  url: string;
  signingKey: CredentialSource;
}

/** `implicit` is TLS from the first byte (RFC 8314); `none` is for a relay on the same machine. */
export const MAIL_TLS = ['starttls', 'implicit', 'none'] as const;
export type MailTls = (typeof MAIL_TLS)[number];

export interface EmailChannel {
  type: 'email';
  host: string;
  port: number;
  tls: MailTls;
  from: string;
  to: string[];
  login?: { username: string; password: CredentialSource };
}

export interface PagerDutyChannel {
  type: 'pagerduty';
  url: string;
  routingKey: CredentialSource;
}

export interface LogChannel {
  type: 'log';
}

export type NotificationChannel =
  SnsChannel | SlackChannel | WebhookChannel | EmailChannel | PagerDutyChannel | LogChannel;

export const CHANNEL_TYPES = [
  'sns',
  'slack',
  'webhook',
  'email',
  'pagerduty',
  'log',
] as const satisfies readonly NotificationChannel['type'][];

/** What the catalog says of notifications, for one environment. */
export interface NotificationSettings {
  channels: Readonly<Record<string, NotificationChannel>>;
  routes: NotificationRoute[];
  /** Where the runbooks are, without a slash at the end. */
  runbooks: string;
}

/** The runbooks' place in Keyturn's own documentation. */
export const RUNBOOKS = 'docs/runbooks';

/** Where it is written what to do about an event. */
export function runbookOf(event: NotificationEvent, runbooks = RUNBOOKS): string {
  return `${runbooks}/${event}.md`;
}

/** What to type next. */
export function nextCommand(event: NotificationEvent, environment: string, secret?: string): string {
  if (secret === undefined) return `keyturn audit list --environment ${environment}`;
  const secretId = secretIdOf(environment, secret);
  switch (event) {
    case 'rotated':
    case 'review-due':
    case 'fleet-report':
      return `keyturn audit list --secret ${secretId}`;
    case 'refused':
    case 'rolled-back':
    case 'overdue':
      return `keyturn rotate ${secretId}`;
    case 'grace-ending':
      return `keyturn extend ${secretId} --by '1 day'`;
    case 'rotation-started':
    case 'aborted':
    case 'rollback-incomplete':
    case 'retirement-incomplete':
    case 'still-used':
    case 'changed-elsewhere':
      return `keyturn status ${secretId}`;
    case 'leak-reported':
      return `keyturn rotate ${secretId} --emergency`;
    case 'kms-key-changed':
      return 'keyturn doctor';
  }
}

/** The one argument of the workflow `notifyPeople`. */
export interface NotifyPeopleInput {
  environment: string;
  /** Absent when a whole environment is meant. */
  secret?: string;
  event: NotificationEvent;
  severity: Severity;
  /** One or two sentences: what is, since when or until when, and what can be done. Never a value. */
  message: string;
  /** What to type next; the usual command for the event when absent. */
  next?: string;
  /** The channels by name; looked up in the catalog's routes when absent. */
  channels?: string[];
  /** An emergency rotation tells it; one that went back to an old value is none. */
  emergency?: true;
  requestedBy?: string;
  reason?: string;
}

/** What became of a notification. */
export interface NotifyPeopleResult {
  sent: string[];
  notSent: { channel: string; problem: string }[];
}
