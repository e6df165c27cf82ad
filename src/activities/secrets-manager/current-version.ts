import { setTimeout as sleep } from 'node:timers/promises';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';

/** Secrets Manager is eventually consistent: right after a label has moved, a reader may still get the version before. */
const LABEL_READS = 5;
const LABEL_READ_PAUSE_MS = 500;

/**
 * What a reader who asks for AWSCURRENT gets, which must be the rotation's own version.
 *
 * @param readCurrent is called again while it shows another version.
 * @throws CandidateRefused when AWSCURRENT is elsewhere.
 */
export async function readOwnCurrent<T extends { versionId: string }>(
  { secretId, versionId }: { secretId: string; versionId: string },
  readCurrent: () => Promise<T>,
): Promise<T> {
  let found = await readCurrent();
  for (let again = 0; found.versionId !== versionId && again < LABEL_READS; again++) {
    await sleep(LABEL_READ_PAUSE_MS);
    found = await readCurrent();
  }
  if (found.versionId === versionId) return found;
  throw failure(
    Cause.CandidateRefused,
    `AWSCURRENT of ${secretId} is version ${found.versionId} and not ${versionId}: somebody moved the label meanwhile.`,
  );
}
