import { Cause } from '../../rotation/errors';
import { failure } from '../failures';

/**
 * Reads a JSON secret into its fields, so that one can be changed and the others kept exactly.
 *
 * @param where names the secret and version in messages.
 * @throws SecretUnusable when it is not a JSON object, or holds a number that JavaScript cannot keep exactly. The parser's own
 * message is not passed on: it quotes the text.
 */
export function parseJsonSecret(text: string, where: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw failure(Cause.SecretUnusable, `${where} is not JSON. It was left as it is.`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw failure(Cause.SecretUnusable, `${where} is not a JSON object. It was left as it is.`);
  }
  const inexact = Object.entries(parsed).find(([, value]) => holdsInexactNumber(value))?.[0];
  if (inexact !== undefined) {
    throw failure(
      Cause.SecretUnusable,
      `${where} holds a number in the field ${inexact} that is too large to be kept exactly. It was left as it is. Store the number as text.`,
    );
  }
  return parsed as Record<string, unknown>;
}

function holdsInexactNumber(value: unknown): boolean {
  if (typeof value === 'number')
    return !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value));
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsInexactNumber);
}
