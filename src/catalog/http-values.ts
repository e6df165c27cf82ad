import { z } from 'zod';
import { nameOf } from './problems';

/** The name of an HTTP header: a token (RFC 9110, section 5.6.2). */
export const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'is not the name of an HTTP header: letters, digits and hyphens are usual');

/**
 * A JSON pointer (RFC 6901) into an answer.
 *
 * @param wholeAnswer takes the empty pointer, which means the answer as a whole.
 */
export function jsonPointer(description: string, { wholeAnswer = false } = {}) {
  return z
    .string()
    .refine(
      (pointer) => pointer.startsWith('/') || (wholeAnswer && pointer === ''),
      'is not a JSON pointer: it begins with a slash, such as /data/id',
    )
    .refine((pointer) => !/~(?![01])/.test(pointer), 'has a ~ that is neither ~0 (for ~) nor ~1 (for /) (RFC 6901)')
    .describe(description);
}

/** What a request sends: a YAML mapping, or JSON as text. Parsed, it is text. */
export const jsonText = z
  .union([z.string(), z.record(z.string(), z.unknown())], {
    error: ({ input }) =>
      `must be a mapping or JSON as text, ${input === null ? 'but nothing is written here' : `not ${nameOf(input)}`}`,
  })
  .transform((written) => (typeof written === 'string' ? written : JSON.stringify(written)));
