import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { refuseFullAccount } from './account';
import { createLeftovers } from './leftovers';
import type { KeyAccess, KeyInput } from './replaced-key';

export interface InspectKeysInput extends KeyInput {
  /** A leaked key may be gone from the provider already. */
  emergency: boolean;
}

/** What was found; public IDs and times only. */
export interface KeysFound {
  /** The provider's ID of the key in AWSCURRENT. */
  old?: string;
  /** When it was last used before this rotation tried it itself, ISO 8601. */
  oldLastUsedAt?: string;
  /** A terminated rotation left something. */
  leftovers: boolean;
  can: { tellUse: boolean; deactivate: boolean; delete: boolean };
}

export interface SettleKeyLeftoversInput extends KeyInput {
  /** How long a key must not have been used to be deleted, in milliseconds. */
  quietPeriodMs: number;
  emergency: boolean;
}

/** What there is before a key is created: the key in use, and what a terminated rotation has left. */
export function createInspectionActivities({ store, openReplaced }: KeyAccess) {
  return {
    async inspectKeys(input: InspectKeysInput): Promise<KeysFound> {
      const { secretId, versionId, target, emergency } = input;
      const { key, provider } = await openReplaced(input);
      const secondary = await store.secondary(target);
      const keys = await provider.list?.();
      if (keys) {
        const known = keys.some(({ id }) => id === key.id);
        if (!known && !emergency) {
          throw failure(
            Cause.CurrentCredentialRefused,
            `the key ${key.id ?? '(without an ID)'} in AWSCURRENT of ${secretId} is not among the provider's ${keys.length} (${keys.map(({ id }) => id).join(', ') || 'none'}). Nothing was changed. Store a key there that works, or correct the catalog.`,
          );
        }
        // What a terminated rotation left is put in order first, and makes room.
        if (!secondary) refuseFullAccount(provider, keys, secretId);
      }
      return {
        old: key.id,
        oldLastUsedAt: keys?.find(({ id }) => id === key.id)?.lastUsedAt,
        leftovers: secondary !== undefined && secondary.record.rotation !== versionId,
        can: {
          tellUse: provider.lastUsed !== undefined,
          deactivate: provider.deactivate !== undefined,
          delete: provider.delete !== undefined,
        },
      };
    },

    async settleKeyLeftovers(input: SettleKeyLeftoversInput): Promise<void> {
      const { provider } = await openReplaced(input);
      await createLeftovers(store, provider).settle(input);
      const keys = await provider.list?.();
      if (keys) refuseFullAccount(provider, keys, input.secretId);
    },
  };
}
