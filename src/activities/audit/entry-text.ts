import type { AuditEntry } from './audit-log';

const LONGEST_TEXT = 4_000;
const MOST_ITEMS = 200;
const DEEPEST = 8;
/** deploy/postgres/audit.sql refuses more than 128 KiB; a character is at most four bytes. */
const LONGEST_ENTRY = 30_000;

/**
 * An entry as the JSON text that is stored and hashed, of bounded size. What is cut says so in its place.
 * Characters that PostgreSQL's json functions cannot read (NUL, unpaired surrogates) become U+FFFD.
 */
export function entryText(entry: AuditEntry): string {
  const plain = JSON.parse(JSON.stringify(entry)) as AuditEntry;
  const text = JSON.stringify(bounded(plain, 0));
  return text.length <= LONGEST_ENTRY ? text : JSON.stringify(bounded(outlined(plain), 0));
}

/** The entry with only the beginning, as text, of each part that may be large. */
function outlined(entry: AuditEntry): object {
  const large = ['input', 'outsideCalls', 'result'];
  const outline = ([name, part]: [string, unknown]) =>
    large.includes(name) ? [name, { shortened: JSON.stringify(part) }] : [name, part];
  return Object.fromEntries(Object.entries(entry).map(outline)) as object;
}

function bounded(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEEPEST) return '… (deeper levels left out)';
  if (Array.isArray(value)) {
    const items = value.slice(0, MOST_ITEMS).map((item) => bounded(item, depth + 1));
    return value.length > MOST_ITEMS ? [...items, `… (${value.length - MOST_ITEMS} more)`] : items;
  }
  const fields = Object.entries(value).slice(0, MOST_ITEMS);
  return Object.fromEntries(fields.map(([name, field]) => [boundedText(name), bounded(field, depth + 1)]));
}

function boundedText(text: string): string {
  const shortened = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}… (${text.length} characters)` : text;
  return Buffer.from(shortened).toString().replaceAll('\0', '\uFFFD');
}
