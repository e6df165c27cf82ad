import { ENGINES } from './database-secret';

/**
 * Fields of a database secret that say where and as whom, and not with what (AWS, 'JSON structure of … database credential secrets'). One
 * that holds more than a text, number or boolean is none of them: an object in `ssl` may hold a private key (node-postgres).
 */
const OPEN_FIELDS: ReadonlySet<string> = new Set([
  'engine',
  'host',
  'port',
  'dbname',
  'username',
  'dbInstanceIdentifier',
  'dbClusterIdentifier',
  'masterarn',
  'ssl',
  'sslmode',
]);

/** Which parts of a secret's text are secret. */
export interface SecretParts {
  /** As they stand in the text. */
  parts: readonly string[];
  /** Fields whose values are not. */
  openFields: ReadonlySet<string>;
}

/**
 * Tells the secret parts of a database secret from its other ones: everything but the fields above, and a field of those whose value is
 * also in, or around, a secret one.
 *
 * @returns `undefined` where that is not certain: no database secret, one whose values stand in its text in an uncommon spelling, or one
 * with a name twice, of which parsing keeps only the last value.
 */
export function secretPartsOf(text: string): SecretParts | undefined {
  const fields = fieldsOf(text);
  if (!fields || !ENGINES.includes(String(fields['engine']))) return undefined;
  const texts = ['host', 'username', 'password'].map((name) => fields[name]);
  if (!texts.every((value) => typeof value === 'string' && value !== '')) return undefined;

  if (namesIn(text) !== namesIn(JSON.stringify(fields))) return undefined;

  const hidden = Object.entries(fields).filter(([name, value]) => !mayBeOpen(name, value));
  const parts = hidden
    .flatMap(([name, value]) => (name === 'password' ? [value] : [name, value]))
    .map(asWritten)
    .filter((part) => part !== '');
  if (!parts.every((part) => text.includes(part))) return undefined;

  const touchesSecret = (value: string) => parts.some((part) => part.includes(value) || value.includes(part));
  const openFields = Object.entries(fields).filter(
    ([name, value]) => mayBeOpen(name, value) && !touchesSecret(asWritten(value)),
  );
  return { parts, openFields: new Set(openFields.map(([name]) => name)) };
}

function mayBeOpen(name: string, value: unknown): boolean {
  return OPEN_FIELDS.has(name) && ['string', 'number', 'boolean'].includes(typeof value);
}

/** How many names a JSON text has, in all of its objects. */
function namesIn(json: string): number {
  const strings = json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g);
  return [...strings].filter(([, colon]) => colon !== undefined).length;
}

function fieldsOf(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function asWritten(value: unknown): string {
  const json = JSON.stringify(value);
  return typeof value === 'string' ? json.slice(1, -1) : json;
}
