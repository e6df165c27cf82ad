import type { NotificationEvent, Severity } from '../../rotation/notifications';

/** What people are told. It holds no value. */
export interface Notification {
  /** The same whenever the same notification is tried again, so that a receiver can tell a repetition. */
  id: string;
  event: NotificationEvent;
  severity: Severity;
  environment: string;
  /** Absent when a whole environment is meant. */
  secret?: string;
  /** It comes from an emergency rotation: what is `rotated` has replaced whatever leaked before. */
  emergency?: true;
  /** One or two sentences: what is, since when or until when, and what can be done. */
  message: string;
  /** What to type next. */
  next: string;
  /** Where it is written what to do; an address, or a path in Keyturn's documentation. */
  runbook: string;
  /** The workflow that it is about. */
  workflowId: string;
  runId: string;
  /** ISO 8601. */
  at: string;
}

/** One way to tell people. */
export interface Notifier {
  /**
   * Sends it once, in some seconds at most; Temporal tries again.
   *
   * @throws ChannelRefused when trying again would not help; TargetUnavailable or Throttled when it may.
   */
  send(notification: Notification): Promise<void>;
}

/** What it is about, as people write it. */
export function subjectOf({ environment, secret }: Notification): string {
  return secret === undefined ? environment : `${environment}/${secret}`;
}

/** One line. */
export function headlineOf(notification: Notification): string {
  return `${notification.severity}: ${notification.event} of ${subjectOf(notification)}`;
}

/** All of it as plain text, without the headline. */
export function textOf({ message, next, runbook, workflowId, runId, at }: Notification): string {
  return [
    message,
    '',
    `Next: ${next}`,
    `Runbook: ${runbook}`,
    `Workflow: ${workflowId}`,
    `Run: ${runId}`,
    `Time: ${at}`,
  ].join('\n');
}
