import { ApplicationFailure } from '@temporalio/common';
import { redact } from '../../activities/boundary/activity-scope';
import type { Cause } from '../../rotation/errors';

export type CheckState = 'ok' | 'warning' | 'failed' | 'skipped';

/** One thing that was looked at. */
export interface Check {
  name: string;
  state: CheckState;
  found: string;
  /** What to do about it. */
  todo?: string;
}

export const ok = (name: string, found: string): Check => ({ name, state: 'ok', found });
export const warning = (name: string, found: string, todo: string): Check => ({ name, state: 'warning', found, todo });
export const failed = (name: string, found: string, todo?: string): Check => ({ name, state: 'failed', found, todo });
export const skipped = (name: string, found: string, todo?: string): Check => ({ name, state: 'skipped', found, todo });

/** What to do about failures whose messages do not say it themselves. */
export type Advice = Partial<Record<Cause, string>>;

/**
 * Makes a failed check of whatever `look` throws.
 *
 * @param todo what to do about it, whatever it is or by its cause.
 */
export async function check(name: string, look: () => Promise<Check>, todo?: string | Advice): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    return failedBy(name, error, typeof todo === 'object' ? adviceFor(error, todo) : todo);
  }
}

function adviceFor(error: unknown, advice: Advice): string | undefined {
  return error instanceof ApplicationFailure ? advice[error.type as Cause] : undefined;
}

/** A failed check with an error's first line as what was found, and the rest of it as what to do. */
export function failedBy(name: string, error: unknown, todo?: string): Check {
  const [found = '', ...rest] = reasonOf(error).split('\n');
  return failed(name, found, [...rest, ...(todo ? [todo] : [])].map((line) => line.trim()).join('\n') || undefined);
}

/** An error's message without protected values. */
export function reasonOf(error: unknown): string {
  const told = error instanceof AggregateError && !error.message ? error.errors[0] : error;
  return redact(told instanceof Error ? told.message || told.name : String(told));
}
