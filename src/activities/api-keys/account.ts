import { formatDuration } from '../../rotation/durations';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import type { ApiKeyFacts, ApiKeyProvider, ApiKeyRequest } from './provider';
import type { SecondaryRecord } from './secondary';

/** The clocks of a provider and of a worker may differ by that much. */
const CLOCK_DIFFERENCE_MS = 5 * 60_000;

/** What a rotation asks its provider for. */
export function requestOf(secretId: string, { rotation, since }: SecondaryRecord): ApiKeyRequest {
  return { label: `keyturn/${secretId}/${rotation}`, idempotencyKey: rotation, since };
}

/**
 * The keys that a rotation created although it never got to know their values: they carry its label, or, where the provider keeps no
 * labels, they were not there before it set out.
 *
 * @throws KeyNotOurs when one that has no label is in use: a lost key is used by nobody.
 */
export function lostKeys(keys: ApiKeyFacts[], secretId: string, record: SecondaryRecord): ApiKeyFacts[] {
  const { label } = requestOf(secretId, record);
  const earliest = Date.parse(record.since) - CLOCK_DIFFERENCE_MS;
  const unlabelled = (key: ApiKeyFacts) =>
    key.label === undefined &&
    record.keysBefore?.includes(key.id) === false &&
    (key.createdAt === undefined || Date.parse(key.createdAt) >= earliest);
  const lost = keys.filter((key) => (key.label === label || unlabelled(key)) && key.id !== record.replaces);
  const used = lost.find((key) => key.label === undefined && key.lastUsedAt !== undefined);
  if (!used) return lost;
  throw failure(
    Cause.KeyNotOurs,
    `${describeKey(used)} appeared while a rotation of ${secretId} set out to create a key, and somebody uses it, so it is not the rotation's. It was left as it is. Find out whose it is; the rotation can be repeated when it is gone or has been there before.`,
  );
}

/** @throws TooManyKeys when the account is full. */
export function refuseFullAccount(provider: ApiKeyProvider, keys: ApiKeyFacts[], secretId: string): void {
  if (provider.mostKeys === undefined || keys.length < provider.mostKeys) return;
  throw failure(
    Cause.TooManyKeys,
    `the provider of ${secretId} allows ${provider.mostKeys} keys, and there are ${keys.length}: ${keys.map(describeKey).join('; ')}. None was touched. Find out which one nobody needs, delete it at the provider, and rotate again.`,
  );
}

function describeKey({ id, active, createdAt, lastUsedAt }: ApiKeyFacts): string {
  const age = createdAt ? `${formatDuration(Math.max(Date.now() - Date.parse(createdAt), 0))} old` : 'of unknown age';
  return `${id} (${active ? 'active' : 'inactive'}, ${age}, ${lastUsedAt ? `last used ${lastUsedAt}` : 'never used'})`;
}
