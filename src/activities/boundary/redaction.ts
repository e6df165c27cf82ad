/** What stands in a text where a secret value was. */
const REDACTED = '[redacted]';

/** A span of a text, end exclusive. */
type Span = [start: number, end: number];

/** Shorter pieces of a value occur in ordinary words too often to tell anything. */
const FRAGMENT_LENGTH = 6;

const BASE64_CHARACTER = /[A-Za-z0-9+/=_-]/;

/**
 * Replaces every occurrence of the values, in clear, base64, base64url, hex, URL-encoded and JSON-escaped form.
 * Base64 is found wherever the value stands in the encoded text, as in `user:password` of an Authorization header.
 *
 * @param fragmentsOf also replaces every piece of a value of 6 characters or more, for texts of which one does not know
 * how they quote: error messages shorten what they show. Where the parts of the value that are secret are given, only pieces that touch
 * one of them.
 */
export function redactValues(
  text: string,
  values: Iterable<string>,
  { fragmentsOf }: { fragmentsOf?: ReadonlyMap<string, readonly string[] | undefined> } = {},
): string {
  const spans: Span[] = [];
  for (const value of values) {
    for (const form of literalForms(value)) spans.push(...occurrences(text, form));
    for (const form of base64Forms(value)) {
      spans.push(...occurrences(text, form).map((span) => withBase64Neighbours(text, span)));
    }
    if (fragmentsOf) spans.push(...fragmentSpans(text, value, fragmentsOf.get(value)));
  }
  return replaceSpans(text, spans);
}

function literalForms(value: string): Set<string> {
  const hex = Buffer.from(value).toString('hex');
  const escaped = escapeJson(value);
  const forms = [value, hex, hex.toUpperCase(), escaped, escapeJson(escaped), asciiOnly(escaped)];
  const wellFormed = Buffer.from(value).toString();
  for (const encoded of [encodeURIComponent(wellFormed), encodeURI(wellFormed), formEncode(wellFormed)]) {
    forms.push(
      encoded,
      encoded.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase()),
    );
  }
  return new Set(forms);
}

function escapeJson(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

function asciiOnly(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** application/x-www-form-urlencoded. */
function formEncode(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}

/** The characters that the value alone decides, for each of the three positions at which its first byte may stand. */
function base64Forms(value: string): Set<string> {
  const forms = new Set<string>();
  for (const shift of [0, 1, 2]) {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(value)]);
    const first = Math.ceil((shift * 8) / 6);
    const end = Math.floor((bytes.length * 8) / 6);
    forms.add(bytes.toString('base64').slice(first, end));
    forms.add(bytes.toString('base64url').slice(first, end));
  }
  return forms;
}

/** The characters beside a base64 form hold the value's outermost bits; padding may follow. */
function withBase64Neighbours(text: string, [start, end]: Span): Span {
  for (let i = 0; i < 2 && BASE64_CHARACTER.test(text.charAt(start - 1)); i++) start--;
  for (let i = 0; i < 3 && BASE64_CHARACTER.test(text.charAt(end)); i++) end++;
  return [start, end];
}

function occurrences(text: string, form: string): Span[] {
  const spans: Span[] = [];
  for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1)) spans.push([at, at + form.length]);
  return spans;
}

function fragmentSpans(text: string, value: string, parts: readonly string[] = [value]): Span[] {
  const pieces = new Set<string>();
  for (const [start, end] of parts.flatMap((part) => occurrences(value, part))) {
    const last = Math.min(end - 1, value.length - FRAGMENT_LENGTH);
    for (let i = Math.max(0, start - FRAGMENT_LENGTH + 1); i <= last; i++) {
      pieces.add(value.slice(i, i + FRAGMENT_LENGTH));
    }
  }
  const spans: Span[] = [];
  for (let i = 0; i + FRAGMENT_LENGTH <= text.length; i++) {
    if (pieces.has(text.slice(i, i + FRAGMENT_LENGTH))) spans.push([i, i + FRAGMENT_LENGTH]);
  }
  return spans;
}

function replaceSpans(text: string, spans: Span[]): string {
  let redacted = '';
  let kept = 0;
  for (const [start, end] of spans.sort((a, b) => a[0] - b[0])) {
    if (start >= kept) redacted += text.slice(kept, start) + (start === kept && kept > 0 ? '' : REDACTED);
    kept = Math.max(kept, end);
  }
  return redacted + text.slice(kept);
}
