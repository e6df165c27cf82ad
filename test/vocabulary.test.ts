import { randomInt } from 'node:crypto';
import { formatDuration, parseDuration } from '../src/rotation/durations';
import { parseSecretId, rotationWorkflowId, secretIdOf } from '../src/rotation/names';
import type { PasswordPolicy } from '../src/rotation/password-policy';
import { APP_SECRET_POLICY, classesOf, DATABASE_POLICY, drawPassword } from '../src/rotation/password-policy';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('a duration', () => {
  test.each([
    ['500 ms', 500],
    ['0 s', 0],
    ['1s', SECOND],
    ['30 seconds', 30 * SECOND],
    ['1 second', SECOND],
    ['5m', 5 * MINUTE],
    ['5 min', 5 * MINUTE],
    ['1 minute', MINUTE],
    ['10 minutes', 10 * MINUTE],
    ['2h', 2 * HOUR],
    ['1 hour', HOUR],
    ['1.5 hours', 1.5 * HOUR],
    ['7d', 7 * DAY],
    ['90 days', 90 * DAY],
    ['1w', 7 * DAY],
    ['2 Weeks', 14 * DAY],
    ['  3 days  ', 3 * DAY],
    ['0.4 ms', 0],
  ])('is read as people write it: %j', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each([
    ['nothing', ''],
    ['a number without a unit', '90'],
    ['a unit without a number', 'days'],
    ['a negative one', '-1 day'],
    ['one in months, whose length depends on the calendar', '3 months'],
    ['one in years', '1 year'],
    ['two in one', '1 day 2 hours'],
    ['the ISO form', 'P7D'],
    ['digits of another script', '٣ days'],
    ['an exponent', '1e3 s'],
    ['a half number', '1. s'],
    ['more than can be counted exactly', '99999999999999 weeks'],
    ['another word that begins with the same letter', '3 dozen'],
  ])('is not read from %s', (_what, text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test.each([
    [0, '0 ms'],
    [350, '350 ms'],
    [42 * SECOND, '42 s'],
    [42.9 * SECOND, '42 s'],
    [MINUTE, '1 min'],
    [90 * SECOND, '1 min 30 s'],
    [HOUR + 30 * SECOND, '1 h'],
    [7 * DAY, '7 d'],
    [7 * DAY - 1, '6 d 23 h'],
    [365 * DAY + 5 * MINUTE, '365 d'],
  ])('of %d milliseconds is shown in its two largest units, as %j', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  test.each(['500 ms', '42 s', '3 min', '2 h', '90 d'])('%j is shown as it was written', (text) => {
    expect(formatDuration(parseDuration(text) ?? NaN)).toBe(text);
  });
});

describe('a generated value', () => {
  /** Answers with the given indices, and with nothing beyond them. */
  function scripted(indices: number[]) {
    const bounds: number[] = [];
    const randomIndex = (bound: number): number => {
      bounds.push(bound);
      const index = indices[bounds.length - 1];
      if (index === undefined) throw new Error('more was drawn than expected');
      return index;
    };
    return { bounds, randomIndex };
  }

  test('takes one draw for each character from the whole alphabet', () => {
    const { bounds, randomIndex } = scripted([0, 3, 4]);
    expect(drawPassword({ length: 3, classes: ['ab', 'XY', '7'] }, randomIndex)).toBe('aY7');
    expect(bounds).toEqual([5, 5, 5]);
  });

  test('is drawn again as a whole while a class is missing', () => {
    const { bounds, randomIndex } = scripted([0, 1, 2, 3, 1, 2]);
    expect(drawPassword({ length: 2, classes: ['ab', 'XY'] }, randomIndex)).toBe('bX');
    expect(bounds).toHaveLength(6);
  });

  test('draws a character that is in two classes no more often than others', () => {
    const { bounds, randomIndex } = scripted([1]);
    expect(drawPassword({ length: 1, classes: ['ab', 'b'].slice(0, 1) }, randomIndex)).toBe('b');
    const overlapping = scripted([1, 0]);
    expect(drawPassword({ length: 2, classes: ['ab', 'bc'] }, overlapping.randomIndex)).toBe('ba');
    expect([...bounds, ...overlapping.bounds]).toEqual([2, 3, 3]);
  });

  test.each<[string, PasswordPolicy]>([
    ['fewer characters than classes', { length: 2, classes: ['a', 'b', 'c'] }],
    ['one character to draw from', { length: 8, classes: ['a'] }],
    ['none', { length: 8, classes: [] }],
  ])('is refused where the policy leaves %s', (_what, policy) => {
    expect(() => drawPassword(policy, () => 0)).toThrow(RangeError);
  });

  test.each([
    ['an application secret', APP_SECRET_POLICY, 64, /^[A-Za-z0-9!@#$%^&*]+$/],
    ['a database', DATABASE_POLICY, 32, /^[A-Za-z0-9\-_.~]+$/],
  ])('for %s has its length, its alphabet, and at least one of each class', (_what, policy, length, alphabet) => {
    for (let n = 0; n < 2_000; n += 1) {
      const value = drawPassword(policy, (bound) => randomInt(bound));
      expect(value).toHaveLength(length);
      expect(value).toMatch(alphabet);
      for (const characterClass of policy.classes) {
        expect([...value].some((character) => characterClass.includes(character))).toBe(true);
      }
    }
  });

  test('is each of the allowed strings equally often', () => {
    const policy = { length: 3, classes: ['ab', '12'] };
    // Eight of each class alone are not allowed.
    const allowed = 4 ** 3 - 2 * 2 ** 3;
    const draws = 48_000;
    const counts = countOf(draws, () => [drawPassword(policy, (bound) => randomInt(bound))]);
    expect(counts.size).toBe(allowed);
    expect(chiSquare([...counts.values()])).toBeLessThan(chiSquareBound(allowed - 1));
  });

  test('holds each character of a class equally often', () => {
    const counts = countOf(4_000, () => [...drawPassword(DATABASE_POLICY, (bound) => randomInt(bound))]);
    for (const characterClass of DATABASE_POLICY.classes) {
      const observed = [...characterClass].map((character) => counts.get(character) ?? 0);
      expect(chiSquare(observed)).toBeLessThan(chiSquareBound(observed.length - 1));
    }
  });

  function countOf(times: number, draw: () => string[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (let n = 0; n < times; n += 1) {
      for (const drawn of draw()) counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    return counts;
  }

  /** Pearson's statistic against equal expectations. */
  function chiSquare(observed: number[]): number {
    const expected = observed.reduce((sum, count) => sum + count, 0) / observed.length;
    return observed.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  }

  /** What a uniform draw exceeds once in a thousand million times (Wilson and Hilferty's approximation, z = 6). */
  function chiSquareBound(degreesOfFreedom: number): number {
    const spread = 2 / (9 * degreesOfFreedom);
    return degreesOfFreedom * (1 - spread + 6 * Math.sqrt(spread)) ** 3;
  }
});

describe('the classes of an alphabet', () => {
  test.each([
    ['all four kinds, in any order', 'b1-A', ['A', 'b', '1', '-']],
    ['letters and digits alone', 'abcXYZ09', ['XYZ', 'abc', '09']],
    ['one kind', 'fedcba', ['fedcba']],
    ['characters that are there twice', 'aabb11', ['ab', '1']],
    ['letters outside of ASCII, which are one class with the marks', 'aäß~', ['a', 'äß~']],
    ['characters outside of the basic plane', 'a😀', ['a', '😀']],
    ['nothing', '', []],
  ])('with %s', (_what, alphabet, classes) => {
    expect(classesOf(alphabet)).toEqual(classes);
  });

  test('give values that hold every class', () => {
    const policy = { length: 4, classes: classesOf('ab01XY-_') };
    expect(drawPassword(policy, (bound) => randomInt(bound))).toMatch(
      /^(?=.*[ab])(?=.*[01])(?=.*[XY])(?=.*[-_])[ab01XY_-]{4}$/,
    );
  });
});

describe('the name of a secret', () => {
  test.each([
    ['dev/jwt', { environment: 'dev', secret: 'jwt' }],
    ['dev/database/app', { environment: 'dev', secret: 'database/app' }],
    ['dev//app', { environment: 'dev', secret: '/app' }],
    ['prod/a/b/c', { environment: 'prod', secret: 'a/b/c' }],
  ])('%j is split at its first slash, and put together again', (secretId, parts) => {
    expect(parseSecretId(secretId)).toEqual(parts);
    expect(secretIdOf(parts.environment, parts.secret)).toBe(secretId);
    expect(rotationWorkflowId(parts.environment, parts.secret)).toBe(`rotation/${secretId}`);
  });

  test.each(['', '/', 'dev', 'dev/', '/app'])('%j has a part missing', (secretId) => {
    expect(parseSecretId(secretId)).toBeUndefined();
  });
});
