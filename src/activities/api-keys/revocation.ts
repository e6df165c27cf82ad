import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import type { KeyStore } from './key-store';
import type { KeyAccess, KeyInput } from './replaced-key';

export interface OneKeyInput extends KeyInput {
  /** The provider's ID of the key. */
  keyId: string;
}

/** Takes a key away for good, once nobody uses it. */
export function createRevocationActivities({ store, openReplaced }: KeyAccess) {
  return {
    async lastUseOfKey(input: OneKeyInput): Promise<{ lastUsedAt?: string }> {
      return { lastUsedAt: await (await openReplaced(input)).provider.lastUsed?.(input.keyId) };
    },

    async deactivateKey(input: OneKeyInput): Promise<void> {
      await refuseCurrentKey(store, input);
      await (await openReplaced(input)).provider.deactivate?.(input.keyId);
    },

    async deleteKey(input: OneKeyInput): Promise<void> {
      await refuseCurrentKey(store, input);
      await (await openReplaced(input)).provider.delete?.(input.keyId);
    },
  };
}

/** What AWSCURRENT names works for somebody: whatever else is wrong, it is not taken away. */
export async function refuseCurrentKey(store: KeyStore, { secretId, target, keyId }: OneKeyInput): Promise<void> {
  const { key, versionId } = await store.ofCurrent(secretId, target);
  if (key.id !== keyId) return;
  throw failure(
    Cause.KeyNotOurs,
    `the key ${keyId} is in AWSCURRENT of ${secretId} (version ${versionId}), so it was not revoked. Move AWSCURRENT to a version whose key is to stay, then repeat the step.`,
  );
}
