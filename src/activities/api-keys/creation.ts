import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { lostKeys, requestOf } from './account';
import type { ApiKeyFacts, ApiKeyProvider, ApiKeyRequest, CreatedApiKey } from './provider';
import type { KeyAccess, KeyInput } from './replaced-key';
import { refuseCurrentKey } from './revocation';
import type { SecondaryRecord } from './secondary';

export interface PrepareSecondaryInput extends KeyInput {
  since: string;
  replaces?: string;
}

export interface CreatedKeyFacts {
  keyId: string;
  /** When the provider itself ends the old key, ISO 8601. */
  oldExpiresAt?: string;
}

/** Creates the new key, never two of them, and takes it back. */
export function createCreationActivities({ store, openReplaced }: KeyAccess) {
  return {
    /** Makes it known, before it happens, that a key is going to be created. */
    async prepareSecondary(input: PrepareSecondaryInput): Promise<void> {
      const { secretId, versionId: rotation, since, replaces, target } = input;
      await store.createSecondary(secretId, target, { rotation, since, replaces });
    },

    /** Creates the key and stores it in the secondary. An earlier attempt's key is taken up or deleted, so that there are never two. */
    async createKey(input: KeyInput): Promise<CreatedKeyFacts> {
      const { secretId, versionId, target } = input;
      const stored = await store.storedKey(target, versionId);
      if (stored) return factsOf(stored.record);
      const { fields, provider } = await openReplaced(input);
      const prepared = (await store.secondary(target))?.record;
      if (prepared?.rotation !== versionId) {
        throw failure(
          Cause.NotYetVisible,
          `${target.secondarySecretId} does not show what was stored; it is looked for again.`,
        );
      }
      const keys = await provider.list?.();
      const keysBefore = keys?.map(({ id }) => id);
      const record = await store.noteAsking(target, { ...prepared, keysBefore });
      const request = requestOf(secretId, record);
      const key = (await foundAgain(provider, keys, request, secretId, record)) ?? (await provider.create(request));
      const complete = { ...record, keyId: key.id, replacedExpiresAt: key.replacedExpiresAt };
      await store.storeKey(target, fields, key, complete);
      const kept = (await store.storedKey(target, versionId))?.record ?? complete;
      // An attempt that was taken for dead stored another key meanwhile: that one stays, and this one would belong to nobody.
      if (kept.keyId !== key.id) await provider.delete?.(key.id);
      await key.stored?.();
      return factsOf(kept);
    },

    /** Deletes the key that this rotation created, whether or not it got to know of it. */
    async discardKey(input: KeyInput): Promise<void> {
      const { secretId, versionId, target } = input;
      const found = await store.secondary(target);
      if (found?.record.rotation !== versionId) return;
      const { provider } = await openReplaced(input);
      const { keyId } = (await store.storedKey(target, versionId))?.record ?? found.record;
      const ids = keyId
        ? [keyId]
        : lostKeys((await provider.list?.()) ?? [], secretId, found.record).map(({ id }) => id);
      for (const id of ids) {
        await refuseCurrentKey(store, { ...input, keyId: id });
        await provider.delete?.(id);
      }
    },
  };
}

const factsOf = ({ keyId = '', replacedExpiresAt }: SecondaryRecord): CreatedKeyFacts => ({
  keyId,
  oldExpiresAt: replacedExpiresAt,
});

/** A key that an earlier attempt created: taken up where its value can still be read, replaced otherwise. */
async function foundAgain(
  provider: ApiKeyProvider,
  keys: ApiKeyFacts[] | undefined,
  request: ApiKeyRequest,
  secretId: string,
  record: SecondaryRecord,
): Promise<CreatedApiKey | undefined> {
  if (!keys) return provider.recover?.(request);
  const lost = lostKeys(keys, secretId, record);
  for (const found of lost) {
    const key = await provider.recover?.(request, found);
    if (key) return key;
    await provider.delete?.(found.id);
  }
  if (lost.length === 0) return undefined;
  // A service that remembers the request would answer with the key that was just deleted.
  return provider.create({ ...request, idempotencyKey: `${request.idempotencyKey}-again-${lost.length}` });
}
