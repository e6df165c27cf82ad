import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { lostKeys } from './account';
import type { ApiKeyTarget, KeyStore } from './key-store';
import type { ApiKeyProvider } from './provider';

export interface LeftoversOf {
  secretId: string;
  /** The candidate of the rotation that finds them. */
  versionId: string;
  target: ApiKeyTarget;
  /** How long a key must not have been used to be deleted, in milliseconds. */
  quietPeriodMs: number;
  /** Deletes a leaked key although somebody uses it. */
  emergency: boolean;
}

/** What a terminated rotation left: a secondary secret, and a key that nobody owns. */
export function createLeftovers(store: KeyStore, provider: ApiKeyProvider) {
  /** The one key too many, as far as the secondary's record and the primary tell. */
  async function surplus({ secretId, target }: LeftoversOf): Promise<string[]> {
    const found = await store.secondary(target);
    if (!found) return [];
    const { record } = found;
    const inUse = (await store.ofCurrent(secretId, target)).key.id;
    if (record.keyId === undefined) {
      const lost = lostKeys((await provider.list?.()) ?? [], secretId, record);
      return lost.map(({ id }) => id).filter((id) => id !== inUse);
    }
    // It was promoted before it was terminated: what it was to retire is still there.
    if (record.keyId === inUse) return record.replaces === undefined ? [] : [record.replaces];
    await store.withdraw(target, found);
    return [record.keyId];
  }

  async function refuseUsed(id: string, { secretId, quietPeriodMs, emergency, target }: LeftoversOf): Promise<void> {
    if (emergency) return;
    const promoted = (await store.secondary(target))?.record.replaces === id;
    if (!promoted) return;
    const why = provider.lastUsed
      ? await recentUse(id, quietPeriodMs)
      : 'the provider cannot tell whether somebody uses it';
    if (why === undefined) return;
    throw failure(
      Cause.KeyStillUsed,
      `a rotation of ${secretId} was terminated after it had promoted the new key and before it had revoked the old one, ${id}: ${why}. Nothing was changed. Rotate again when nobody uses it, or delete it at the provider; rotating with --emergency revokes it at once.`,
    );
  }

  async function recentUse(id: string, quietPeriodMs: number): Promise<string | undefined> {
    const used = await provider.lastUsed?.(id);
    const recent = used !== undefined && Date.now() - Date.parse(used) < quietPeriodMs;
    return recent ? `it was used at ${used}` : undefined;
  }

  return {
    /** Deletes the surplus key and the secondary. @throws KeyStillUsed when somebody uses the key; nothing is changed then. */
    async settle(leftovers: LeftoversOf): Promise<void> {
      for (const id of await surplus(leftovers)) {
        const keys = await provider.list?.();
        if (keys && !keys.some((key) => key.id === id)) continue;
        await refuseUsed(id, leftovers);
        await provider.deactivate?.(id);
        await provider.delete?.(id);
      }
      await store.removeSecondary(leftovers.target);
    },
  };
}
