import { get } from 'jsonpointer';
import { Cause } from '../../../rotation/errors';
import type { HttpProviderPlan } from '../../../rotation/plan';
import { protect } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import type { ApiKeyFacts, CreatedApiKey } from '../provider';
import type { HttpAnswer } from './exchange';
import type { CallIdentity } from './request';
import { isoTime } from './times';

const ACTIVE = new Set(['active', 'enabled']);
const INACTIVE = new Set(['inactive', 'disabled', 'revoked', 'deactivated', 'suspended', 'expired', 'deleted']);

/**
 * Reads a new key out of the answer to `create`; its value is registered for redaction first of all.
 *
 * @throws CatalogInvalid when a pointer does not lead to what it should.
 */
export function createdKeyOf(answer: HttpAnswer, plan: HttpProviderPlan['create'], call: CallIdentity): CreatedApiKey {
  const document = documentOf(answer, call);
  const value = at(document, plan.valuePointer);
  if (typeof value !== 'string' || value === '')
    throw misread(call, 'value', plan.valuePointer, 'a text that is not empty');
  protect(value);
  const id = idOf(document, plan.idPointer, call);
  if (id === value) throw misread(call, 'id', plan.idPointer, "the key's public ID, but to its value");
  return { id, value };
}

/** Reads the keys out of the answer to `list`. @throws CatalogInvalid like {@link createdKeyOf}. */
export function listedKeysOf(answer: HttpAnswer, plan: HttpProviderPlan['list'], call: CallIdentity): ApiKeyFacts[] {
  // A key that is not seen would be created a second time, or left behind.
  if (answer.hasNextPage) {
    throw failure(
      Cause.CatalogInvalid,
      `${call.origin} lists the keys for ${call.about} on several pages, of which only one is read. Let the list call's url in the catalog ask for all keys at once, or only for those of this account.`,
    );
  }
  const keys = at(documentOf(answer, call), plan.keysPointer);
  if (keys === null) return [];
  if (!Array.isArray(keys)) throw misread(call, 'keys', plan.keysPointer, 'an array');
  return keys.map((key: unknown) => {
    const label = plan.labelPointer === undefined ? undefined : at(key, plan.labelPointer);
    const createdAt = timeAt(key, 'createdAt', plan.createdAtPointer, call);
    const lastUsedAt = timeAt(key, 'lastUsedAt', plan.lastUsedAtPointer, call);
    return {
      id: idOf(key, plan.idPointer, call),
      ...(typeof label === 'string' && { label }),
      active: activeAt(key, plan.activePointer, call),
      ...(createdAt !== undefined && { createdAt }),
      ...(lastUsedAt !== undefined && { lastUsedAt }),
    };
  });
}

function documentOf({ text = '' }: HttpAnswer, call: CallIdentity): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw failure(
      Cause.CatalogInvalid,
      `${call.origin} did not answer the ${call.operation} call of ${call.about} in JSON. Compare the call's url and headers in the catalog with the service's documentation.`,
    );
  }
}

/** What a JSON Pointer leads to; `undefined` where there is nothing, or the pointer is none. */
function at(document: unknown, pointer: string): unknown {
  if (pointer === '') return document;
  if (typeof document !== 'object' || document === null) return undefined;
  try {
    return get(document, pointer) as unknown;
  } catch {
    return undefined;
  }
}

/** A number is taken as its digits, unless JSON.parse has rounded it: that would be another key's ID. */
function idOf(document: unknown, pointer: string, call: CallIdentity): string {
  const id = at(document, pointer);
  if (typeof id === 'string' && id !== '') return id;
  if (typeof id === 'number' && Number.isSafeInteger(id)) return String(id);
  throw misread(call, 'id', pointer, 'a text or a whole number below 2^53');
}

function timeAt(key: unknown, field: string, pointer: string | undefined, call: CallIdentity): string | undefined {
  const time = pointer === undefined ? undefined : at(key, pointer);
  if (pointer === undefined || time === undefined || time === null || time === '') return undefined;
  const iso = isoTime(time);
  if (iso === undefined) throw misread(call, field, pointer, 'a time in ISO 8601 or in seconds since 1970');
  return iso;
}

function activeAt(key: unknown, pointer: string | undefined, call: CallIdentity): boolean {
  if (pointer === undefined) return true;
  const active = at(key, pointer);
  if (typeof active === 'boolean') return active;
  const word = typeof active === 'string' ? active.toLowerCase() : '';
  if (ACTIVE.has(word)) return true;
  if (INACTIVE.has(word)) return false;
  throw misread(call, 'active', pointer, `true, false, or one of ${[...ACTIVE, ...INACTIVE].join(', ')}`);
}

function misread({ operation, origin, about }: CallIdentity, field: string, pointer: string, wanted: string) {
  return failure(
    Cause.CatalogInvalid,
    `In the answer of ${origin} to the ${operation} call of ${about}, ${field}: ${JSON.stringify(pointer)} does not lead to ${wanted}. Correct the JSON Pointer in the catalog; the answer is not shown because it may hold a key.`,
  );
}
