import { Cause } from '../../rotation/errors';
import { causeOf } from './failures';

/** Waits for all of them also when one fails: what still runs must not take effect after it was undone. */
export async function all(works: Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(works);
  throwWorst(ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : [])));
}

/** Of several, one that may pass counts before one that is not worth many tries. */
export function throwWorst(failures: unknown[]): void {
  const [first] = failures;
  if (failures.length === 0) return;
  throw failures.find((error) => causeOf(error).type !== Cause.NotRestarted) ?? first;
}
