import { isCancellation } from '@temporalio/workflow';
import { partsOf } from './failures';
import { PartsFailed } from './parts-failed';

/** Waits for all of them also when one fails: what still runs must not take effect after it was undone. */
export async function all(works: Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(works);
  throwTogether(ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : [])));
}

/** Fails with all that failed; where one of them was cancelled, with that one. */
export function throwTogether(failures: unknown[]): void {
  const [first] = failures;
  if (failures.length === 0) return;
  if (failures.length === 1) throw first;
  throw failures.find(isCancellation) ?? new PartsFailed(failures.flatMap(partsOf));
}
