import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { inspect, promisify } from 'node:util';
import saslprep from '@mongodb-js/saslprep';

/** A secret value that was stored or used, with what its digests could have been salted with. */
export interface Canary {
  value: string;
  /** The VersionId that holds it in Secrets Manager. */
  versionId?: string;
  /** The login whose password it is. */
  username?: string;
  /** Any piece of 10 characters counts as well. Only for values that share no such piece with an ordinary text. */
  pieces?: boolean;
}

/** What to look for, and what it is of the value. */
export interface Form {
  form: string;
  needle: string;
}

/** Shorter values are in half of all words; Keyturn itself does not redact them either. */
export const SHORTEST_FORM = 6;
const PIECE = 10;
const ALGORITHMS = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'];

/**
 * A value and all that it can be derived from: in clear and encoded, its digests without a salt and with every salt that Keyturn or a
 * careless program could use, and what PostgreSQL stores in its place.
 */
export async function formsOf(canary: Canary): Promise<Form[]> {
  const { value, pieces } = canary;
  if (value.length < SHORTEST_FORM) return [];
  const forms = [...encodings(value), ...digests(canary), ...(await scramForms(canary))];
  const prepared = normalised(value);
  if (prepared !== value) forms.push(...encodings(prepared));
  if (pieces) forms.push(...piecesOf(value));
  // Many forms of a plain value are the value itself: the first that it is found as says enough.
  const byNeedle = new Map(forms.toReversed().map((form) => [form.needle, form]));
  return [...byNeedle.values()].filter(({ needle }) => needle.length >= SHORTEST_FORM);
}

function encodings(value: string): Form[] {
  const bytes = Buffer.from(value);
  const json = escapedJson(value);
  const wellFormed = bytes.toString();
  const forms: Form[] = [
    { form: 'in clear', needle: value },
    { form: 'JSON-escaped', needle: json },
    { form: 'JSON-escaped twice', needle: escapedJson(json) },
    { form: 'JSON-escaped to ASCII', needle: asciiOnly(json) },
    { form: 'as JavaScript shows it', needle: inspect(value, { maxStringLength: null }).slice(1, -1) },
    { form: 'as SQL', needle: value.replaceAll("'", "''") },
    { form: 'as SQL', needle: value.replaceAll("'", "''").replaceAll('\\', '\\\\') },
    { form: 'as HTML', needle: escapedHtml(value) },
    { form: 'in a shell', needle: value.replaceAll("'", `'\\''`) },
    { form: 'as UTF-16', needle: Buffer.from(value, 'utf16le').toString('hex') },
    ...ofBytes('', bytes),
    ...[' ', ','].flatMap((between) => [
      { form: 'bytes', needle: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(between) },
      { form: 'bytes', needle: [...bytes].join(between) },
    ]),
    { form: 'bytes', needle: [...bytes].join(', ') },
  ];
  const percentEncoded = [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  const formEncoded = new URLSearchParams([['', wellFormed]]).toString().slice(1);
  for (const encoded of [encodeURIComponent(wellFormed), encodeURI(wellFormed), formEncoded, percentEncoded]) {
    forms.push({ form: 'URL-encoded', needle: encoded });
    forms.push({
      form: 'URL-encoded',
      needle: encoded.replace(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase()),
    });
  }
  return forms;
}

/** In hex, and in base64 wherever the bytes stand in the encoded text. */
function ofBytes(what: string, bytes: Buffer): Form[] {
  const named = (encoding: string) => [what, encoding].filter(Boolean).join(', ');
  const hex = bytes.toString('hex');
  return [
    { form: named('hex'), needle: hex },
    { form: named('hex'), needle: hex.toUpperCase() },
    ...[0, 1, 2].flatMap((offset) =>
      (['base64', 'base64url'] as const).map((encoding) => ({
        form: named('base64'),
        needle: base64Core(bytes, offset, encoding),
      })),
    ),
  ];
}

/** The part of a base64 text that does not depend on what stands before and after the bytes. */
function base64Core(bytes: Buffer, offset: number, encoding: 'base64' | 'base64url'): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString(encoding);
  const first = Math.ceil((offset * 8) / 6);
  return text.slice(first, Math.floor(((offset + bytes.length) * 8) / 6));
}

function digests({ value, versionId, username }: Canary): Form[] {
  const salts = ['keyturn', 'salt', versionId, username].filter((salt) => salt !== undefined);
  return ALGORITHMS.flatMap((algorithm) => {
    const digest = (text: string) => createHash(algorithm).update(text).digest();
    return [
      digest(value),
      ...salts.flatMap((salt) => [
        digest(salt + value),
        digest(value + salt),
        createHmac(algorithm, salt).update(value).digest(),
        createHmac(algorithm, value).update(salt).digest(),
      ]),
    ].flatMap((bytes) => ofBytes(algorithm, bytes));
  });
}

const ITERATIONS = 4096;

/** The salt is known to everyone who knows the version and the login, and so are the digests made with it. */
async function scramForms({ value, versionId, username }: Canary): Promise<Form[]> {
  if (versionId === undefined || username === undefined) return [];
  const salt = createHash('sha256').update(`keyturn\0${versionId}\0${username}`).digest().subarray(0, 16);
  const saltedPassword = await promisify(pbkdf2)(normalised(value), salt, ITERATIONS, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', saltedPassword).update(text).digest();
  const clientKey = hmac('Client Key');
  const keys = {
    'SCRAM salt': salt,
    'SCRAM SaltedPassword': saltedPassword,
    'SCRAM ClientKey': clientKey,
    'SCRAM StoredKey': createHash('sha256').update(clientKey).digest(),
    'SCRAM ServerKey': hmac('Server Key'),
  };
  return Object.entries(keys).flatMap(([name, bytes]) => [
    ...ofBytes(name, bytes),
    // PostgreSQL's verifier is a text, which may itself have been encoded.
    ...ofBytes(name, Buffer.from(bytes.toString('base64'))),
  ]);
}

function normalised(password: string): string {
  try {
    return saslprep(password);
  } catch {
    return password;
  }
}

function* piecesOf(value: string): Generator<Form> {
  for (let at = 0; at + PIECE <= value.length; at += 1) yield { form: 'a piece', needle: value.slice(at, at + PIECE) };
}

const escapedJson = (text: string) => JSON.stringify(text).slice(1, -1);

const asciiOnly = (text: string) =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const HTML = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' } as const;
const escapedHtml = (text: string) => text.replace(/[&<>"']/g, (mark) => HTML[mark as keyof typeof HTML]);
