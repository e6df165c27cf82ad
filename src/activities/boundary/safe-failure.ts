import { CompleteAsyncError } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { errorClass, errorCode, redact, redactFragments } from './activity-scope';

const LONGEST_MESSAGE = 4_000;
const LONGEST_FOREIGN_MESSAGE = 1_000;

const CAUSES: ReadonlySet<string> = new Set(Object.values(Cause));

/**
 * The error that may leave an activity in place of the one that was thrown in it.
 *
 * The SDK's DefaultFailureConverter writes an error's message and stack, its chain of causes (each with message and stack)
 * and an ApplicationFailure's or CancelledFailure's details into history, and the worker logs the error object with all
 * its fields. So this never hands out the object that was thrown, only a new one: message and stack redacted, no cause, no
 * details. Must be called within the activity's scope, which knows the values.
 *
 * - a failure whose type is one of {@link Cause} keeps its type, retry behaviour and (redacted) message;
 * - cancellation stays cancellation;
 * - everything else becomes {@link Cause.Unexpected} with the error's class, code and redacted message.
 *
 * @param step names the activity and its secret for the message of an unexpected error.
 * @param cancelled whether the activity was asked to stop: an AbortError is then the answer to that.
 */
export function safeFailure(error: unknown, step: string, cancelled: boolean): Error {
  // Carries nothing, and the SDK turns it into an answer without a failure.
  if (error instanceof CompleteAsyncError) return new CompleteAsyncError();
  if (error instanceof CancelledFailure) {
    return withSafeStack(new CancelledFailure(shorten(redact(error.message), LONGEST_MESSAGE)), error);
  }
  if (cancelled && error instanceof Error && error.name === 'AbortError') return new CancelledFailure('CANCELLED');
  if (error instanceof ApplicationFailure && error.type && CAUSES.has(error.type)) {
    const { type, nonRetryable, nextRetryDelay, category } = error;
    const message = shorten(redact(error.message), LONGEST_MESSAGE);
    return withSafeStack(
      new ApplicationFailure(message, type, nonRetryable, undefined, undefined, nextRetryDelay, category),
      error,
    );
  }
  return withSafeStack(failure(Cause.Unexpected, unexpectedMessage(error, step)), error);
}

function unexpectedMessage(error: unknown, step: string): string {
  const code = errorCode(error);
  const kind = redact(code ? `${errorClass(error)}, code ${code}` : errorClass(error));
  return (
    `${step} met an error that Keyturn does not know (${kind}): ${foreignMessage(error)} ` +
    'What the step had done until then is kept, and the step is tried again.'
  );
}

function foreignMessage(error: unknown): string {
  if (error instanceof SyntaxError) return 'its message may quote what was read and is left out.';
  // Node reports a connection refused on several addresses with an empty message of its own.
  const told = error instanceof AggregateError && !error.message ? (error.errors[0] as unknown) : error;
  if (!(told instanceof Error)) return 'it has no message.';
  const message = redactFragments(told.message).replace(/\s+/g, ' ').trim();
  const sentence = shorten(message, LONGEST_FOREIGN_MESSAGE);
  return sentence ? `${sentence}${/[.!?…]$/.test(sentence) ? '' : '.'}` : 'it has no message.';
}

/** Keeps where it happened and drops the rest: a stack begins with the original message and may go on with causes. */
function withSafeStack<E extends Error>(safe: E, original: unknown): E {
  const frames = original instanceof Error ? trailingFrames(original) : [];
  safe.stack = [`${safe.name}: ${safe.message}`, ...frames].join('\n');
  return safe;
}

function trailingFrames(error: Error): string[] {
  const lines = redact(String(error.stack ?? '')).split(/\r?\n/);
  const frame = /^\s+at [^'"]*(:\d+:\d+|<anonymous>|native)\)?$/;
  const firstFrame = lines.findLastIndex((line) => !frame.test(line)) + 1;
  return lines.slice(firstFrame);
}

function shorten(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
