import type { Notifier } from '../activities/notify';
import type { Logger } from './logging';

/** Writes notifications as log lines with `event: 'notification'`, from where a log pipeline can bring them to people. */
export function createLogNotifier(logger: Logger): Notifier {
  return {
    send({ event: about, severity, environment, secret, message }) {
      const line = { event: 'notification', about, environment, secret };
      if (severity === 'warning') logger.warn(line, message);
      else logger.info(line, message);
      return Promise.resolve();
    },
  };
}
