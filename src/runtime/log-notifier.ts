import type { Notifier } from '../activities/notify/notifier';
import type { Logger } from './logging';

const LEVEL = { info: 'info', warning: 'warn', critical: 'error' } as const;

/** Writes notifications as log lines with `event: 'notification'`, from where a log pipeline can bring them to people. */
export function createLogNotifier(logger: Logger): Notifier {
  return {
    send({ event: about, message, ...line }) {
      logger[LEVEL[line.severity]]({ event: 'notification', about, ...line }, message);
      return Promise.resolve();
    },
  };
}
