import type { Logger } from './logging';

/**
 * Decides what becomes of errors that nobody caught, with a redacted log line in place of Node's own print of the
 * error.
 *
 * A rejected promise that nobody awaited does not stop the process: every step and its outcome are durable, and one bad
 * secret must not stop the others. An exception that nobody caught leaves its caller in an unknown state: the worker
 * ends, in order, and is started again from outside.
 *
 * @param onException ends the program.
 * @returns takes the guards away again.
 */
export function guardProcess(logger: Logger, onException: (error: unknown) => void): () => void {
  const onUnhandledRejection = (error: unknown) =>
    logger.error(
      { event: 'unhandled-rejection', error },
      'A promise was rejected and nobody awaited it; the worker goes on',
    );
  const onUncaughtException = (error: unknown) => {
    logger.error({ event: 'uncaught-exception', error }, 'An exception was not caught; the worker shuts down');
    onException(error);
  };
  process.on('unhandledRejection', onUnhandledRejection);
  process.on('uncaughtException', onUncaughtException);
  return () => {
    process.off('unhandledRejection', onUnhandledRejection);
    process.off('uncaughtException', onUncaughtException);
  };
}
