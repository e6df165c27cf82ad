import type { LogLevel as TemporalLevel, LogMetadata, Logger as TemporalLogger } from '@temporalio/common';
import type { DestinationStream, Logger, LoggerOptions } from 'pino';
import { pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from './config';
import { redact } from './log-redaction';

export type { Logger };

/**
 * A logger that writes one JSON object per line, to stdout unless told otherwise: `time` (ISO 8601), `level`,
 * `service`, `pid`, `message`, an `event` where a program may wait for the line, and the fields of the call. Everything
 * passes {@link redact}.
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: { service: 'keyturn', pid: process.pid },
    messageKey: 'message',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: {
      logMethod(args, method) {
        method.apply(this, args.map(redactArgument) as typeof args);
      },
    },
  };
  return destination ? pino(options, destination) : pino(options);
}

function redactArgument(argument: unknown): unknown {
  return argument instanceof Error ? { error: redact(argument) } : redact(argument);
}

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const satisfies Record<
  TemporalLevel,
  LogLevel
>;

/** Lets Temporal's runtime, worker, workflows and activities write through the same logger as everything else. */
export function temporalLogger(logger: Logger): TemporalLogger {
  const log = (level: TemporalLevel, message: string, meta?: LogMetadata) => logger[LEVELS[level]](meta ?? {}, message);
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}

/** The same level in Temporal's words. */
export function temporalLevel(level: LogLevel): TemporalLevel {
  return level.toUpperCase() as TemporalLevel;
}
