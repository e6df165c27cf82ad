import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { shortened } from '../../rotation/fleet';
import { safeFailure } from '../boundary/safe-failure';

/** A moment's outage of a target is waited out: so often everything is looked at before one is taken for out of reach. */
const LOOKS = 3;

/**
 * Why one secret cannot be read, where the answer will stay the same: the others need not wait for it.
 *
 * @throws the error itself where it may pass, or is not of this secret alone.
 */
export function whyUnreadable(error: unknown): string {
  const isAnswer =
    error instanceof ApplicationFailure && error.nonRetryable === true && error.type !== Cause.AuditUnavailable;
  if (!isAnswer) throw error;
  return told(error);
}

/**
 * Why what one secret opens cannot be asked; it may be out of reach for hours.
 *
 * @throws the error itself where this attempt was cancelled, or another one soon may find it within reach.
 */
export function whyOutOfReach(error: unknown): string {
  const { cancellationSignal, info } = Context.current();
  const isAnswer = error instanceof ApplicationFailure && error.nonRetryable === true;
  if (cancellationSignal.aborted || (!isAnswer && info.attempt < LOOKS)) throw error;
  return told(error);
}

/** Goes into a result, and so into history. */
function told(error: unknown): string {
  const { message } = safeFailure(error, 'this look', false);
  return shortened(message).replace(/\.$/, '');
}
