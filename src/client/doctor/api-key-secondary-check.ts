import { redact } from '../../activities/boundary/activity-scope';
import { recordOf } from '../../activities/api-keys/secondary';
import { parseJsonSecret } from '../../activities/secrets-manager/json-secret';
import type { SecretStore } from '../../activities/secrets-manager/store';
import type { ApiKeyPlan } from '../../rotation/plan';
import type { Check } from './check';
import { failedBy, ok, skipped, warning } from './check';

/** Whether a rotation of the secret runs; `undefined` when Temporal cannot be asked. */
export type IsRotating = (environment: string, secret: string) => Promise<boolean | undefined>;

/**
 * Whether a secondary secret belongs to a rotation that runs.
 *
 * @returns the check, and the provider's ID of the key that the secondary holds.
 */
export async function checkSecondary(
  secrets: Pick<SecretStore, 'inspect' | 'readCurrent'>,
  isRotating: IsRotating,
  { environment, secret, secretId, secondarySecretId }: ApiKeyPlan,
): Promise<{ check: Check; keyId?: string }> {
  const name = `secondary of ${secretId}`;
  try {
    const { exists } = await secrets.inspect(secondarySecretId);
    if (!exists) return { check: ok(name, `${secondarySecretId} is not there: no key is on its way or left over`) };
    const { text } = await secrets.readCurrent(secondarySecretId);
    const { keyId } = recordOf(text, secondarySecretId);
    const holds = keyId === undefined ? '' : ` with the key ${redact(keyId)}`;
    const running = await isRotating(environment, secret);
    if (running === undefined) {
      return {
        check: skipped(name, `${secondarySecretId} is there${holds}; whether a rotation needs it is Temporal's to say`),
        keyId,
      };
    }
    if (running) {
      return { check: ok(name, `belongs to the rotation that runs${holds}${graceOf(text, secondarySecretId)}`), keyId };
    }
    const todo = `The next rotation puts it in order: keyturn rotate ${secretId}`;
    return {
      check: warning(name, `${secondarySecretId} is left over${holds}: no rotation runs that needs it`, todo),
      keyId,
    };
  } catch (error) {
    return { check: failedBy(name, error) };
  }
}

function graceOf(text: string, where: string): string {
  const { graceEndsAt } = parseJsonSecret(text, where);
  const time = typeof graceEndsAt === 'string' ? Date.parse(graceEndsAt) : NaN;
  return time > Date.now() ? `; grace period until ${new Date(time).toISOString()}` : '';
}
