import { Cause } from '../../rotation/errors';
import type { AuditLog } from '../audit/audit-log';
import { AuditLogError } from '../audit/audit-log';
import { failure } from '../failures';

/** What is known of secrets that are gone. */
export type PastOfSecrets = Pick<AuditLog, 'list'>;

/** Rotations that are looked at, the newest; one of them is enough. */
const LOOKED_AT = 100;

/**
 * Whether a rotation of the secret, whatever it came to, has found or made a value of it. One that nobody has ever rotated by Keyturn is
 * not known.
 *
 * @throws AuditUnavailable
 */
export async function hasExisted(audit: PastOfSecrets, secretId: string): Promise<boolean> {
  try {
    const ended = await audit.list({ secretId, what: 'recordOutcome', limit: LOOKED_AT });
    return ended.some(({ entry }) => {
      const { versions } = (entry.input ?? {}) as { versions?: { current?: string; previous?: string } };
      return (versions?.current ?? versions?.previous) !== undefined;
    });
  } catch (error) {
    if (!(error instanceof AuditLogError)) throw error;
    throw failure(Cause.AuditUnavailable, error.message);
  }
}
