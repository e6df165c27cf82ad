import { CancellationScope, condition } from '@temporalio/workflow';

/**
 * Does what asks others and may take long, while auditing is down for example; reports go on coming, and the server takes only so many
 * in one run.
 *
 * @param when the work is cancelled; it must come to an end by that.
 */
export async function interruptible<T>(work: () => Promise<T>, when: () => boolean): Promise<T> {
  const scope = new CancellationScope();
  const watching = new CancellationScope();
  const working = scope.run(work);
  await Promise.race([working, watching.run(() => condition(when))]);
  if (when()) scope.cancel();
  // A condition that nobody waits for would be looked at to the end of the run.
  watching.cancel();
  return working;
}
