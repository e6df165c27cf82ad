import { z } from 'zod';
import { parseDuration } from '../rotation/durations';
import { expandAlphabet } from './alphabet';
import { nameOf, quoted } from './problems';
import { didYouMean } from './similar-names';

const TEN_YEARS_MS = 3_650 * 86_400_000;

/**
 * A duration such as `90 days`, read as milliseconds.
 *
 * @param zeroAllowed for a period that may be left out by writing `0 minutes`; otherwise at least one second.
 */
export function duration(description: string, zeroAllowed = false) {
  return z
    .string({
      error: ({ input }) =>
        input === undefined || input === null
          ? undefined
          : `must be a duration with its unit, such as "90 days", "2 hours" or "7d", not ${nameOf(input)}`,
    })
    .meta({ examples: ['90 days', '2 hours', '15 minutes', '7d'] })
    .transform((text, context) => {
      const milliseconds = parseDuration(text);
      const refuse = (message: string) => {
        context.addIssue({ code: 'custom', message });
        return z.NEVER;
      };
      if (milliseconds === undefined) {
        return refuse(
          `${quoted(text)} is not a duration: write a number and ms, seconds, minutes, hours, days or weeks, such as "90 days"`,
        );
      }
      if (milliseconds > TEN_YEARS_MS) return refuse(`${quoted(text)} is longer than ten years`);
      if (milliseconds < 1_000 && !(zeroAllowed && milliseconds === 0)) {
        return refuse(`${quoted(text)} is too short: at least one second`);
      }
      return milliseconds;
    })
    .describe(description);
}

/**
 * One of a few words.
 *
 * @param refused why other words that somebody may know are not taken.
 */
export function oneOf<const Words extends readonly string[]>(words: Words, refused: Record<string, string> = {}) {
  return z.enum(words, {
    error: ({ input }) => {
      if (typeof input !== 'string') return undefined;
      const reason = Object.hasOwn(refused, input) ? refused[input] : undefined;
      return reason ? `${quoted(input)} ${reason}` : noneOf(words, input);
    },
  });
}

/** What to say of a word that is not among the known ones. */
export function noneOf(words: readonly string[], written: string): string {
  return `${quoted(written)} is none of ${words.join(', ')}${didYouMean(written, words, 1)}`;
}

/** Text of one line. */
export function line(description: string) {
  return z
    .string()
    .min(1, 'must not be empty')
    .refine((text) => !/\p{Cc}/u.test(text), 'must be one line of text')
    .describe(description);
}

/** The characters that Secrets Manager allows in a name (CreateSecret, parameter Name), without the slash that ends the environment. */
export const environmentName = z
  .string()
  .regex(
    /^[A-Za-z0-9_+=.@-]+$/,
    'is not the name of an environment: letters, digits and _ + = . @ - are allowed (a slash separates the environment from the secret)',
  );

/** The characters that Secrets Manager allows in a name (CreateSecret, parameter Name). */
export const secretName = z
  .string()
  .regex(
    /^[A-Za-z0-9/_+=.@-]+$/,
    'is not the name of a secret: Secrets Manager allows letters, digits and / _ + = . @ -',
  );

const LONGEST_IDENTIFIER_BYTES = 63;

/** A PostgreSQL role name; one that is longer would be cut silently (manual, 'Identifiers and Key Words'). */
export function roleName(description: string) {
  return z
    .string()
    .min(1, 'must not be empty')
    .refine((name) => !name.includes('\0'), 'must not hold the character U+0000')
    .refine(
      (name) => Buffer.byteLength(name) <= LONGEST_IDENTIFIER_BYTES,
      `is longer than the ${LONGEST_IDENTIFIER_BYTES} bytes that PostgreSQL keeps of a role's name`,
    )
    .describe(description);
}

/** The characters to draw a value from, with ranges expanded. */
export const alphabet = z
  .string()
  .regex(/^[\x21-\x7e]*$/, 'must consist of visible ASCII characters, without spaces')
  .transform(expandAlphabet)
  .describe(
    'The characters to draw from, with ranges: A-Za-z0-9 means letters and digits. One character of each class is always present',
  );

/** An address that holds no credential. */
export function httpUrl(description: string) {
  return z
    .string()
    .superRefine((text, context) => {
      const problem = urlProblem(text);
      if (problem) context.addIssue({ code: 'custom', message: problem });
    })
    .meta({ description, format: 'uri' });
}

/** An address that a worker may call without a credential. */
export const healthUrl = httpUrl('Answers expectStatus when the workload is healthy');

/** What is wrong with an address that the catalog gives, if anything. */
function urlProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return 'is not an address that starts with http:// or https://';
  if (url.username === '' && url.password === '') return undefined;
  return 'must not hold a user name or password: the catalog holds no secrets';
}
