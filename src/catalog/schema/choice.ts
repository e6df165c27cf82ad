import { z } from 'zod';
import { nameOf } from '../problems';
import { noneOf } from '../values';

/**
 * Explains a mapping whose key `key` says which of several shapes it has, where that key is missing or says none of them.
 * Handed to zod's discriminated unions.
 */
export function chooseOne(key: string, words: readonly string[]) {
  return {
    error: ({ input, code }: { input?: unknown; code: string }): string | undefined => {
      if (code !== 'invalid_union') return undefined;
      const written = (input as Record<string, unknown>)[key];
      if (written === undefined || written === null) return `is missing: one of ${words.join(', ')}`;
      if (typeof written !== 'string') return `must be one of ${words.join(', ')}, not ${nameOf(written)}`;
      return noneOf(words, written);
    },
  };
}

/**
 * The one thing that a mapping says where exactly one of its keys may be written.
 *
 * @param given what each written key means.
 * @param keys those that there are.
 */
export function onlyOneOf<T>(given: T[], written: object, keys: object, context: z.RefinementCtx): T {
  const [only, other] = given;
  if (only !== undefined && other === undefined) return only;
  const found = Object.entries(written).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  const message =
    only === undefined
      ? `must say one of ${Object.keys(keys).join(', ')}`
      : `has ${found.join(' and ')}: each is an entry of its own`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
