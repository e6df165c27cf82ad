import { Cause } from '../../rotation/errors';
import type { ApiKeyFields } from '../../rotation/plan';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { ApiKeyCredential } from './provider';

/**
 * What the secondary secret says of its rotation, in the field `keyturn`. It is what a later rotation finds its way by when this one
 * was terminated.
 */
export interface SecondaryRecord {
  /** The first run ID of the rotation that made it. */
  rotation: string;
  /** When it set out to create a key, ISO 8601. */
  since: string;
  /** The provider's ID of the key that is being replaced. */
  replaces?: string;
  /** All keys that there were when the provider was first asked for one; absent until then, and where it cannot list. */
  keysBefore?: string[];
  /** The provider's ID of the new key, once there is one. */
  keyId?: string;
  /** When the provider itself ends the key that is being replaced, ISO 8601. */
  replacedExpiresAt?: string;
}

/** The field of the secondary secret that Keyturn keeps for itself. */
const RECORD = 'keyturn';

/** The secondary secret before there is a new key: applications find no key in it, and use the primary. */
export function emptySecondary(record: SecondaryRecord): string {
  return JSON.stringify({ phaseInPercent: 0, [RECORD]: record });
}

/** The secondary secret with the new key: the primary's other fields, and the key. */
export function secondaryWithKey(
  primary: Record<string, unknown>,
  fields: ApiKeyFields,
  key: ApiKeyCredential,
  record: SecondaryRecord,
): string {
  return JSON.stringify({ ...primary, ...keyFields(fields, key), phaseInPercent: 0, [RECORD]: record });
}

/** The same with what applications are told of the grace period. */
export function announced(text: string, where: string, graceEndsAt: string, phaseInPercent: number): string {
  return JSON.stringify({ ...parseJsonSecret(text, where), graceEndsAt, phaseInPercent });
}

/** The primary secret's next version: its own other fields, and the secondary's key. */
export function primaryWithKey(primary: Record<string, unknown>, fields: ApiKeyFields, key: ApiKeyCredential): string {
  return protect(JSON.stringify({ ...primary, ...keyFields(fields, key) }));
}

/** @throws KeyNotOurs when nothing in the secret says that Keyturn made it. */
export function recordOf(text: string, where: string): SecondaryRecord {
  const record: unknown = parseJsonSecret(text, where)[RECORD];
  if (isRecord(record)) return record;
  throw failure(
    Cause.KeyNotOurs,
    `${where} was not made by Keyturn (it has no field ${RECORD}), but a rotation needs that name for the new key. It was left as it is. Rename or delete it.`,
  );
}

function isRecord(value: unknown): value is SecondaryRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { rotation, since } = value as Record<string, unknown>;
  return typeof rotation === 'string' && typeof since === 'string';
}

function keyFields(fields: ApiKeyFields, { id, value }: ApiKeyCredential): Record<string, unknown> {
  return { ...(id !== undefined && { [fields.id]: id }), [fields.value]: value };
}
