import { Cause } from '../../rotation/errors';
import type { ApiKeyFields } from '../../rotation/plan';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { ApiKeyCredential } from './provider';

/**
 * Reads the key out of a version of a secret.
 *
 * @param where names the secret and version in messages.
 * @throws SecretUnusable naming the field that is missing or wrong, never its value.
 */
export function credentialOf(fields: ApiKeyFields, text: string, where: string): ApiKeyCredential {
  const parsed = parseJsonSecret(text, where);
  const id = parsed[fields.id];
  const value = parsed[fields.value];
  if (typeof value !== 'string' || value.length === 0) {
    throw failure(
      Cause.SecretUnusable,
      `${where} has no text in the field ${fields.value}, where the catalog says that the key is. It was left as it is. Correct the secret, or the catalog's fields.`,
    );
  }
  if (id !== undefined && (typeof id !== 'string' || id.length === 0)) {
    throw failure(
      Cause.SecretUnusable,
      `${where} has something other than text in the field ${fields.id}, where the catalog says that the key's ID is. It was left as it is.`,
    );
  }
  return { id, value: protect(value) };
}
