/** What is common to everything that is done because something has leaked: of one secret, of many, by a person or by an event. */

import { secretIdOf } from './names';
import type { RotationResult } from './types';

/** How long an emergency waits for the end of a rotation that is in its way. */
export const PATIENCE_MS = 24 * 60 * 60_000;

/** Pauses between two looks at it, the first and the longest; each is twice as long as the one before. */
export const LOOK_PAUSE_MS = { first: 1_000, longest: 5 * 60_000 };

/** How a rotation that was in the way of an emergency stands. */
export interface Obstacle {
  secret: string;
  /**
   * `gone`: nothing runs, and the secret can be rotated. `replaced`: it has ended, began after the emergency was declared and was one
   * itself, so that it did what is asked. `running`: its grace period, if it was in one, is ended, and its end is waited for.
   * `unstoppable`: it waits until the provider itself ends the old credential, which nobody can hurry.
   */
  state: 'gone' | 'replaced' | 'running' | 'unstoppable';
  /** Of `replaced`. */
  result?: RotationResult;
  runId?: string;
  /** Of `unstoppable`: what it waits for. */
  what?: string;
}

/** The workflow ID of the front door through which an operator's emergency goes when a rotation of the secret is in its way. */
export function emergencyWorkflowId(environment: string, secret: string): string {
  return `emergency/${secretIdOf(environment, secret)}`;
}

/** The pause after one of that length. */
export function longerPause(pauseMs: number): number {
  return Math.min(pauseMs * 2, LOOK_PAUSE_MS.longest);
}
