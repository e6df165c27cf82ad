import type { PartUnavailable } from '../lab/part';

/**
 * Where a part cannot be had, a skip that says why; with CI=true a failure, because the tests then run without it.
 *
 * @param unavailable why it cannot, if that is known
 */
export function describeWherePossible(name: string, unavailable: PartUnavailable | undefined, tests: () => void): void {
  if (unavailable === undefined || process.env['CI'] === 'true') describe(name, tests);
  else describe.skip(`${name} [skipped: ${unavailable.message}]`, tests);
}
