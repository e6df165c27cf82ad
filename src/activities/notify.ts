import type { StepInput } from './step-input';

/** What people are told of. */
export type NotificationEvent = 'grace-ending' | 'still-used';

export interface Notification {
  event: NotificationEvent;
  severity: 'info' | 'warning';
  environment: string;
  secret: string;
  /** One or two sentences: what is, since when or until when, and what can be done. Never a value. */
  message: string;
}

/** Brings notifications to people. */
export interface Notifier {
  /** @throws Error when it could not be sent; it is tried again for a minute. */
  send(notification: Notification): Promise<void>;
}

export interface NotifyInput extends StepInput, Notification {}

export function createNotifyActivities(notifier: Notifier) {
  return {
    async notify({ event, severity, environment, secret, message }: NotifyInput): Promise<void> {
      await notifier.send({ event, severity, environment, secret, message });
    },
  };
}
