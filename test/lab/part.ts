/** Takes one line of progress for the person who waits. */
export type Report = (line: string) => void;

/**
 * A real part (Temporal, PostgreSQL, AWS) that this machine cannot have. Nothing of it is left running.
 *
 * Tests skip with {@link PartUnavailable.message}, or fail with it where CI=true.
 */
export class PartUnavailable extends Error {
  override readonly name = 'PartUnavailable';

  constructor(
    readonly part: string,
    /** Why, as the rest of a sentence. */
    readonly reason: string,
    /** The command that would make it available. */
    readonly command: string,
  ) {
    super(`${part} is not available: ${reason}. This would help: ${command}`);
  }
}

/** Reports as `temporal    ready on 127.0.0.1:7233`, the names in one column. */
export function reportFor(part: string, report: Report): Report {
  return (line) => report(`${part.padEnd(11)} ${line}`);
}

/** The time since `startedAt` (of `Date.now()`), as `1.9 s`. */
export function secondsSince(startedAt: number): string {
  return `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
}
