import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import saslprep from '@mongodb-js/saslprep';

/** PostgreSQL's own default (parameter scram_iterations). */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** The password as both sides hash it: SASLprep (RFC 4013), or unchanged where that refuses it, which is what PostgreSQL does. */
export function normalisePassword(password: string): string {
  try {
    return saslprep(password);
  } catch {
    return password;
  }
}

/**
 * What PostgreSQL stores in place of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803; PostgreSQL
 * manual, 'Password Authentication').
 *
 * The salt is made from what identifies the version and the role, so that a retry sends the same verifier. It need not be secret,
 * only different from others, and it says nothing of the password.
 */
export async function scramVerifier(password: string, versionId: string, username: string): Promise<string> {
  const salt = createHash('sha256').update(`keyturn\0${versionId}\0${username}`).digest().subarray(0, SALT_BYTES);
  return scramVerifierWithSalt(password, salt);
}

export async function scramVerifierWithSalt(password: string, salt: Buffer): Promise<string> {
  const salted = await promisify(pbkdf2)(normalisePassword(password), salt, ITERATIONS, KEY_BYTES, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest();
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey.toString('base64')}:${hmac('Server Key').toString('base64')}`;
}
