import type { z } from 'zod';
import type { CatalogDocument } from './document';
import { nameOf, type CatalogProblem } from './problems';
import { knownKeysAt } from './schema';
import { SECRET_KEYS } from './schema/known-keys';
import { didYouMean } from './similar-names';

const EXPECTED: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

/** Says what an issue means to whoever wrote the catalog; handed to zod for all issues that no schema explains itself. */
export const explainIssue: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}, not ${String(issue.input)}`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}, not ${String(issue.input)}`;
  if (issue.code !== 'invalid_type' && issue.code !== 'invalid_value') return undefined;
  if (issue.input === undefined) {
    const description = descriptionOf(issue.inst);
    return description ? `is missing: ${decapitalised(description)}` : 'is missing';
  }
  const expected = issue.code === 'invalid_type' ? (EXPECTED[issue.expected] ?? issue.expected) : 'text';
  if (issue.input === null) return `must be ${expected}, but nothing is written here`;
  return `must be ${expected}, not ${nameOf(issue.input)}`;
};

/** Turns zod's issues into problems with their places; one for each unknown key. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], document: CatalogDocument): CatalogProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) =>
        document.problemAt([...issue.path, key], explainUnknownKey(issue.path, key, document.value), 'key'),
      );
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => document.problemAt(issue.path, message, 'key'));
    }
    if (issue.code === 'invalid_union') {
      const meant = meantIn(issue.errors);
      if (meant)
        return problemsOf(
          meant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
          document,
        );
    }
    return [document.problemAt(issue.path, issue.message)];
  });
}

/** What is wrong by the one of several shapes that the value has on its outside. */
function meantIn(errors: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue[] | undefined {
  return errors.find((issues) => !issues.some(({ path, ...issue }) => path.length === 0 && isOfAnotherShape(issue)));
}

/** One of a few words is text on its outside, whatever the words. */
function isOfAnotherShape({ code, input }: Pick<z.core.$ZodIssue, 'code' | 'input'>): boolean {
  return code === 'invalid_type' || (code === 'invalid_value' && typeof input !== 'string');
}

function explainUnknownKey(path: readonly PropertyKey[], key: string, root: unknown): string {
  const mapping = path.reduce((value, part) => (value as Record<PropertyKey, unknown>)[part], root);
  const { of, keys } = knownKeysAt(path, mapping);
  if (path[0] === 'environments' && path.length === 4 && SECRET_KEYS.has(key)) return explainMisplacedKey(key, of);
  return `is no key of ${of}${didYouMean(key, keys, 1) || `; its keys are ${keys.join(', ')}`}`;
}

const NOT_FOR_SINGLE_USER: Partial<Record<string, string>> = {
  gracePeriod: 'there is one login with one password, and the old one ends when the new one is set',
  groupRole: 'there is one login, and it needs no group role',
  logins: 'there is one login, and no second one',
};

function explainMisplacedKey(key: string, of: string): string {
  const reason = of.endsWith('single-user') ? NOT_FOR_SINGLE_USER[key] : undefined;
  if (reason) return `cannot be used with single-user: ${reason}; alternating-users has it`;
  return `is no key of ${of}, only of other types of secret`;
}

function descriptionOf(schema: unknown): string | undefined {
  return (schema as { description?: string } | undefined)?.description;
}

function decapitalised(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
