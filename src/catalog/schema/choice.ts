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
