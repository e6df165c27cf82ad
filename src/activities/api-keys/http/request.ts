import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import type { HttpCall } from '../../../rotation/plan';
import { fillTemplate, fitsHeader, HTTP_CALL_NAMES, httpCallProblems } from '../../../rotation/templates';
import type { HttpOperation } from '../../../rotation/templates';
import { failure } from '../../failures';

/** Which call of the catalog this is, for messages. */
export interface CallIdentity {
  operation: HttpOperation;
  method: HttpCall['method'];
  /** The service's address up to its path. */
  origin: string;
  /** The secret that is rotated. */
  about: string;
  adminSecretId?: string;
}

/** A request with its values; must not get into a message. */
export interface HttpRequest {
  url: string;
  headers: Headers;
  body?: string;
}

/** Named by the header that plans call `idempotencyHeader`, and by nothing in the catalog. */
export const IDEMPOTENCY_KEY = 'idempotencyKey';

/** What templates may name, other than the administrator's fields. */
export type GivenValues = Readonly<Record<string, string | undefined>>;

/**
 * What a call is named in messages.
 *
 * @throws CatalogInvalid when its declaration is not one that can be filled in.
 */
export function identifyCall(
  operation: HttpOperation,
  call: HttpCall,
  about: string,
  adminSecretId?: string,
): CallIdentity {
  const [wrong] = httpCallProblems(call, [...HTTP_CALL_NAMES[operation], IDEMPOTENCY_KEY]);
  const unusable = (problem: string) =>
    failure(
      Cause.CatalogInvalid,
      `The catalog's ${operation} call of ${about} cannot be made: ${problem}. Nothing was sent.`,
    );
  if (wrong) throw unusable(`${wrong.path.join('.')} ${wrong.problem}`);
  const url = fillTemplate(call.url, () => 'x');
  if (!URL.canParse(url)) throw unusable('url is not an address');
  return { operation, method: call.method, origin: new URL(url).origin, about, adminSecretId };
}

/**
 * Fills in a call's templates: percent-encoded in the URL (RFC 3986 section 2.1), JSON-escaped in the body, as they are in headers.
 *
 * @throws SecretUnusable when a value is missing, or its place cannot hold it.
 */
export function requestOf(
  call: HttpCall,
  identity: CallIdentity,
  given: GivenValues,
  admin: Readonly<Record<string, unknown>>,
): HttpRequest {
  const filled = (text: string, encode: (value: string) => string) =>
    fillTemplate(text, (name) => {
      const told = sourceOf(name, identity);
      const value = templateValue(name, given, admin);
      if (value === undefined) throw unfit(`${told} is missing, empty or no text`, identity);
      try {
        return encode(value);
      } catch (error) {
        throw unfit(`${told} ${error instanceof UnfitValue ? error.message : 'is not valid Unicode'}`, identity);
      }
    });

  const url = filled(call.url, percentEncoded);
  const headers = new Headers({ accept: 'application/json' });
  if (call.body !== undefined) headers.set('content-type', 'application/json');
  for (const [name, text] of Object.entries(call.headers)) headers.set(name, filled(text, forHeader));
  const body = call.body === undefined ? undefined : filled(call.body, jsonEscaped);
  return { url, headers, body };
}

/** What is wrong with a value, as the end of a sentence. */
class UnfitValue extends Error {}

function templateValue(name: string, given: GivenValues, admin: Readonly<Record<string, unknown>>): string | undefined {
  const field = adminField(name);
  const value = field === undefined ? given[name] : Object.hasOwn(admin, field) ? admin[field] : undefined;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function percentEncoded(value: string): string {
  // A path segment of dots would be taken for a way up, and the call would be about something else.
  if (/^\.+$/.test(value)) throw new UnfitValue('has only dots, which a URL would take for a folder');
  return encodeURIComponent(value);
}

function jsonEscaped(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

function forHeader(value: string): string {
  if (fitsHeader(value) && value.trim() === value) return value;
  throw new UnfitValue(
    'has a line break, a control character, a blank at an end or a character beyond Latin-1, which a header cannot carry',
  );
}

function adminField(name: string): string | undefined {
  return name.startsWith('admin.') ? name.slice('admin.'.length) : undefined;
}

/** Where a template's value comes from, for operators. */
function sourceOf(name: string, { about, adminSecretId }: CallIdentity): string {
  const field = adminField(name);
  return field === undefined ? `${name} of ${about}` : `the field "${field}" of ${adminSecretId ?? 'adminSecret'}`;
}

function unfit(problem: string, { operation, about }: CallIdentity): ApplicationFailure {
  return failure(
    Cause.SecretUnusable,
    `The ${operation} call of ${about} was not made, because ${problem}. Correct it, and start again.`,
  );
}
