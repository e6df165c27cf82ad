import { isCancellation } from '@temporalio/workflow';
import type { Obstacle } from '../../rotation/emergency';
import { activitiesFor } from '../saga/activities';
import type { Performance } from '../saga/activities';

/** How long one look is tried; another one follows. */
const LOOKING_MS = 60_000;

/** For whom the way is cleared. */
export interface Emergency {
  environment: string;
  /** When it was declared, in milliseconds since the epoch. */
  since: number;
  subject: Performance['subject'];
}

/**
 * Ends the grace periods of what is in the way of an emergency, and says how each rotation stands. A look that does not work says
 * nothing: all of them are taken to run.
 */
export async function clearTheWay(
  { environment, since, subject }: Emergency,
  secrets: readonly string[],
): Promise<Obstacle[]> {
  const what = secrets.length === 1 ? 'the rotation that is' : `${secrets.length} rotations that are`;
  const { write } = activitiesFor({
    subject,
    step: 'clearTheWay',
    summary: `end the grace period of ${what} in the way, and see how ${secrets.length === 1 ? 'it stands' : 'they stand'}`,
    limitMs: LOOKING_MS,
    onAuditDown: () => undefined,
  });
  try {
    return await write.clearTheWay({ environment, since, secrets: [...secrets] });
  } catch (error) {
    if (isCancellation(error)) throw error;
    return secrets.map((secret) => ({ secret, state: 'running' }));
  }
}
