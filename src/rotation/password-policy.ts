/** What a generated value looks like: how many characters, from which classes, at least one of each. */
export interface PasswordPolicy {
  /** Number of characters. */
  length: number;
  /** Character classes; the alphabet is their union. */
  classes: string[];
}

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';

export const APP_SECRET_POLICY: PasswordPolicy = { length: 64, classes: [UPPER, LOWER, DIGITS, '!@#$%^&*'] };

/**
 * Letters, digits and the URI's unreserved marks (RFC 3986 section 2.3): a database password ends in connection strings
 * and shells sooner or later. 32 characters of it are 192 bits.
 */
export const DATABASE_POLICY: PasswordPolicy = { length: 32, classes: [UPPER, LOWER, DIGITS, '-_.~'] };

/** Sorts a free alphabet into the classes that a value must hold one of each of: upper, lower, digits, all others. */
export function classesOf(alphabet: string): string[] {
  const characters = [...new Set(alphabet)];
  const others = characters.filter((c) => !UPPER.includes(c) && !LOWER.includes(c) && !DIGITS.includes(c));
  return [UPPER, LOWER, DIGITS]
    .map((known) => characters.filter((c) => known.includes(c)).join(''))
    .concat(others.join(''))
    .filter((characterClass) => characterClass.length > 0);
}

/**
 * Draws a value: every string that the policy allows is equally likely. It draws whole strings and starts over when a class
 * is missing, because placing one character of each class first would favour some strings over others.
 *
 * @param randomIndex returns a uniformly drawn integer in `[0, bound)`; the caller supplies a cryptographic source.
 * @throws RangeError when the length is smaller than the number of classes.
 */
export function drawPassword(policy: PasswordPolicy, randomIndex: (bound: number) => number): string {
  const alphabet = [...new Set(policy.classes.join(''))];
  if (policy.length < policy.classes.length || alphabet.length < 2) {
    throw new RangeError('the password policy leaves nothing to draw from');
  }
  for (;;) {
    const value = Array.from({ length: policy.length }, () => alphabet[randomIndex(alphabet.length)]).join('');
    if (policy.classes.every((characterClass) => [...characterClass].some((c) => value.includes(c)))) return value;
  }
}
