/** One mistake in the catalog. */
export interface CatalogProblem {
  /** Counted from 1; absent when the file as a whole is meant. */
  line?: number;
  /** Counted from 1, in characters. */
  column?: number;
  /** Where in the catalog, such as `environments.dev.secrets.jwt-secret.type`; empty for the file as a whole. */
  path: string;
  /** What is wrong and what is expected. */
  message: string;
}

/** Takes down a mistake: its path below the place that is being checked, and what is wrong with the value there or with its key. */
export type Report = (path: PropertyKey[], message: string, what?: 'key') => void;

const MOST_LISTED = 20;
const LONGEST_QUOTE = 60;

/** Thrown when the catalog cannot be read or has mistakes; its message lists them with their places, as far as 20. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';

  /**
   * @param path the catalog file, as the operator named it.
   * @param problems at least one.
   * @param consequence what follows from it, as a sentence.
   */
  constructor(
    readonly path: string,
    readonly problems: readonly CatalogProblem[],
    consequence?: string,
  ) {
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    const listed = problems.slice(0, MOST_LISTED).map((problem) => describe(path, problem));
    if (problems.length > MOST_LISTED) listed.push(`and ${problems.length - MOST_LISTED} more`);
    super([`The catalog has ${count}:`, ...listed, ...(consequence ? [consequence] : [])].join('\n'));
  }
}

function describe(file: string, { line, column, path, message }: CatalogProblem): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return path === '' ? `${place}: ${message}` : `${place} ${path}: ${message}`;
}

/** Writes a path as people read it: `environments.dev.secrets["a.b"].dependents[0].http`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = String(part);
      if (!/^[\w/+=@-]{1,60}$/.test(name)) return `[${quoted(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

/** Quotes what the operator wrote, on one line and shortened: `"90 dayz"`. */
export function quoted(written: unknown): string {
  const text = typeof written === 'string' ? written : String(written);
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}

/** Names what the operator wrote in place of something else: `a list`, `the number 90`. */
export function nameOf(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a mapping';
  return typeof input === 'string' ? 'text' : `the ${typeof input} ${quoted(input).slice(1, -1)}`;
}
