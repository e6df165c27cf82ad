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
  if (numbersIn(text).some(isInexact)) {
    const inexact = Object.entries(parsed).find(([, value]) => holdsInexactNumber(value))?.[0];
    const field = inexact === undefined ? '' : ` in the field ${inexact}`;
    throw failure(
      Cause.SecretUnusable,
      `${where} holds a number${field} that cannot be kept exactly. It was left as it is. Store the number as text.`,
    );
  }
  return parsed as Record<string, unknown>;
}

/** The numbers of a JSON text as they are written, of which parsing may keep fewer digits. */
function numbersIn(text: string): string[] {
  const outsideStrings = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return outsideStrings.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? [];
}

function isInexact(written: string): boolean {
  const [digits, exponent] = decimal(written);
  const [kept, keptExponent] = decimal(String(Number(written)));
  return digits !== kept || exponent !== keptExponent;
}

/** A number as its significant digits and the power of ten of the last of them. */
function decimal(written: string): [digits: string, exponent: number] {
  const [mantissa = '', exponent = '0'] = written.replace('-', '').toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const all = (whole + fraction).replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return digits === '' ? ['', 0] : [digits, Number(exponent) - fraction.length + (all.length - digits.length)];
}

function holdsInexactNumber(value: unknown): boolean {
  if (typeof value === 'number')
    return !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value));
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsInexactNumber);
}
