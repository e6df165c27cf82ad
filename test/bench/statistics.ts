/** The value that `share` of all lie below or at, by the nearest rank. @throws RangeError for an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (found === undefined) throw new RangeError('there is nothing to take a quantile of');
  return found;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Runs `work` and says how long it took, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
