import { Cause } from '../../rotation/errors';
import { AuditLogError } from '../audit/audit-log';
import type { PastOfSecrets } from '../audit/past-of-secrets';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';

/**
 * Whether a secret has to be taken for one that existed: the audit log knows of a value of it, or was set up by a version that does not
 * let workers ask. Then nobody knows, and what may be lost is not called complete.
 *
 * @throws AuditUnavailable while the log is down.
 */
export async function mayHaveExisted(past: PastOfSecrets, secretId: string): Promise<boolean> {
  try {
    return await outsideCall('audit', 'HasExisted', () => past.hasExisted(secretId));
  } catch (error) {
    if (!(error instanceof AuditLogError)) throw error;
    if (error.isNotSetUp) return true;
    throw failure(Cause.AuditUnavailable, error.message);
  }
}
