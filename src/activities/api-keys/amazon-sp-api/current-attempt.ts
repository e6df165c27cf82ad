import { Context } from '@temporalio/activity';

export interface CurrentAttempt {
  /** 1 for the first. */
  number: number;
  /** Ends when the activity is cancelled. */
  cancelled: AbortSignal;
}

/** The activity attempt that runs this code; a first one that nobody cancels where there is no activity. */
export function currentAttempt(): CurrentAttempt {
  let context: Context;
  try {
    context = Context.current();
  } catch {
    return { number: 1, cancelled: new AbortController().signal };
  }
  return { number: context.info.attempt, cancelled: context.cancellationSignal };
}
