import { Context, sleep } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { isStaged } from '../secrets-manager/activities';
import type { SecretStore } from '../secrets-manager/store';
import type { StepInput } from '../step-input';
import { lostKeys, refuseFullAccount, requestOf } from './account';
import { createKeyStore, secondaryVersions } from './key-store';
import type { ApiKeyTarget, StoredKey } from './key-store';
import { createLeftovers } from './leftovers';
import type { ApiKeyFacts, ApiKeyProvider, ApiKeyRequest, CreatedApiKey } from './provider';
import type { ApiKeyProviders } from './providers';
import { primaryWithKey } from './secondary';
import type { SecondaryRecord } from './secondary';

export interface KeyInput extends StepInput {
  /** The rotation's candidate: the VersionId that the new key gets in the primary, from which the secondary's derive. */
  versionId: string;
  /** The version of the primary that holds the old key. */
  currentVersionId: string;
  target: ApiKeyTarget;
}

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

export interface PrepareSecondaryInput extends KeyInput {
  since: string;
  replaces?: string;
}

export interface CreatedKeyFacts {
  keyId: string;
  /** When the provider itself ends the old key, ISO 8601. */
  oldExpiresAt?: string;
}

export interface ProveKeyInput extends KeyInput {
  /** `secondary`: the key that this rotation has stored there; `primary`: the one that AWSCURRENT names. */
  where: 'secondary' | 'primary';
}

export interface AnnounceGracePeriodInput extends KeyInput {
  /** Numbers the secondary's versions, from 1. */
  announcement: number;
  /** The number of the last one; 0 before the first. */
  last: number;
  graceEndsAt: string;
  phaseInPercent: number;
}

export interface OneKeyInput extends KeyInput {
  /** The provider's ID of the key. */
  keyId: string;
}

/** A moved label shows everywhere within moments. */
const LABEL_READS = 5;
const LABEL_READ_PAUSE_MS = 500;

export function createApiKeyActivities(secrets: SecretStore, providers: ApiKeyProviders) {
  const store = createKeyStore(secrets);

  async function providerOf({ secretId, currentVersionId, target }: KeyInput): Promise<ApiKeyProvider> {
    const { fields } = await store.ofVersion(secretId, currentVersionId, target);
    return providers.open({ ...target, secretId }, fields);
  }

  /** The key in AWSCURRENT, which must be the rotation's own version. A label that was just moved may be seen late. */
  async function currentOf({ secretId, versionId, target }: KeyInput): Promise<StoredKey> {
    let found = await store.ofCurrent(secretId, target);
    for (let again = 0; found.versionId !== versionId && again < LABEL_READS; again++) {
      await sleep(LABEL_READ_PAUSE_MS);
      found = await store.ofCurrent(secretId, target);
    }
    if (found.versionId === versionId) return found;
    throw failure(
      Cause.CandidateRefused,
      `AWSCURRENT of ${secretId} is version ${found.versionId} and not ${versionId}: somebody moved the label meanwhile.`,
    );
  }

  /** What AWSCURRENT names works for somebody: whatever else is wrong, it is not taken away. */
  async function refuseCurrentKey({ secretId, target, keyId }: OneKeyInput): Promise<void> {
    const { key, versionId } = await store.ofCurrent(secretId, target);
    if (key.id !== keyId) return;
    throw failure(
      Cause.KeyNotOurs,
      `the key ${keyId} is in AWSCURRENT of ${secretId} (version ${versionId}), so it was not revoked. Move AWSCURRENT to a version whose key is to stay, then repeat the step.`,
    );
  }

  return {
    async inspectKeys(input: InspectKeysInput): Promise<KeysFound> {
      const { secretId, versionId, currentVersionId, target, emergency } = input;
      const { key, fields } = await store.ofVersion(secretId, currentVersionId, target);
      const provider = await providers.open({ ...target, secretId }, fields);
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

    /** Tries the key, which the provider may count as a use of it. @returns what it calls the last use now. */
    async confirmCurrentKey(input: KeyInput): Promise<{ ownUse?: string }> {
      const { secretId, currentVersionId, target } = input;
      const { key, fields } = await store.ofVersion(secretId, currentVersionId, target);
      const provider = await providers.open({ ...target, secretId }, fields);
      if ((await provider.verify(key)) === 'accepted') {
        return { ownUse: key.id === undefined ? undefined : await provider.lastUsed?.(key.id) };
      }
      throw failure(
        Cause.CurrentCredentialRefused,
        `the provider refuses the key ${key.id ?? ''} in AWSCURRENT of ${secretId}. Nothing was changed. Store a key there that works; if it was revoked because it leaked, rotate with --emergency.`,
      );
    },

    async settleKeyLeftovers(input: SettleKeyLeftoversInput): Promise<void> {
      const provider = await providerOf(input);
      await createLeftovers(store, provider).settle(input);
      const keys = await provider.list?.();
      if (keys) refuseFullAccount(provider, keys, input.secretId);
    },

    /** Makes it known, before it happens, that a key is going to be created. */
    async prepareSecondary(input: PrepareSecondaryInput): Promise<void> {
      const { secretId, versionId: rotation, since, replaces, target } = input;
      await store.createSecondary(secretId, target, { rotation, since, replaces });
    },

    /** Creates the key and stores it in the secondary. An earlier attempt's key is taken up or deleted, so that there are never two. */
    async createKey(input: KeyInput): Promise<CreatedKeyFacts> {
      const { secretId, versionId, currentVersionId, target } = input;
      const stored = await store.storedKey(target, versionId);
      if (stored) return factsOf(stored.record);
      const primary = await store.ofVersion(secretId, currentVersionId, target);
      const provider = await providers.open({ ...target, secretId }, primary.fields);
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
      await store.storeKey(target, primary.fields, key, complete);
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
      const provider = await providerOf(input);
      const { keyId } = (await store.storedKey(target, versionId))?.record ?? found.record;
      const ids = keyId
        ? [keyId]
        : lostKeys((await provider.list?.()) ?? [], secretId, found.record).map(({ id }) => id);
      for (const id of ids) {
        await refuseCurrentKey({ ...input, keyId: id });
        await provider.delete?.(id);
      }
    },

    /** Proves that a key is accepted. A new one may need its time to be known everywhere. */
    async proveKey(input: ProveKeyInput): Promise<void> {
      const { secretId, versionId, target, where } = input;
      const found = where === 'primary' ? await currentOf(input) : await store.storedKey(target, versionId);
      if (!found) throw failure(Cause.NotYetVisible, `${target.secondarySecretId} does not show the new key yet.`);
      const provider = await providerOf(input);
      if ((await provider.verify(found.key)) === 'accepted') return;
      const message = `the provider refuses the new key ${found.key.id ?? ''} of ${secretId}`;
      throw isSettling(provider)
        ? failure(Cause.NotYetVisible, `${message}, which it may not know everywhere yet; it is tried again.`)
        : failure(Cause.CandidateRefused, `${message}.`);
    },

    /** Tells applications, in the secondary, of the new key, the grace period's end and its share of use. */
    async announceGracePeriod(input: AnnounceGracePeriodInput): Promise<void> {
      const { versionId, target, announcement, last, graceEndsAt, phaseInPercent } = input;
      const lastVersion = secondaryVersions.announcement(versionId, last);
      await store.announce(
        target,
        {
          from: last === 0 ? secondaryVersions.key(versionId) : lastVersion,
          currentFrom: last === 0 ? secondaryVersions.empty(versionId) : lastVersion,
          to: secondaryVersions.announcement(versionId, announcement),
        },
        graceEndsAt,
        phaseInPercent,
      );
    },

    /** Takes the new key out of the secondary again, so that nobody begins to use it. */
    async withdrawKey({ versionId, target }: KeyInput): Promise<void> {
      const found = await store.secondary(target);
      if (found?.record.rotation === versionId) await store.withdraw(target, found);
    },

    /** Stores the new key in the primary, labelled AWSPENDING. */
    async stageKey({ secretId, versionId, currentVersionId, target }: KeyInput): Promise<void> {
      if (await isStaged(secrets, secretId, versionId)) return;
      const stored = await store.storedKey(target, versionId);
      if (!stored) throw failure(Cause.NotYetVisible, `${target.secondarySecretId} does not show the new key.`);
      const { fields } = await store.ofVersion(secretId, currentVersionId, target);
      await secrets.putPending(secretId, versionId, primaryWithKey(fields, target.fields, stored.key));
    },

    async lastUseOfKey(input: OneKeyInput): Promise<{ lastUsedAt?: string }> {
      return { lastUsedAt: await (await providerOf(input)).lastUsed?.(input.keyId) };
    },

    async deactivateKey(input: OneKeyInput): Promise<void> {
      await refuseCurrentKey(input);
      await (await providerOf(input)).deactivate?.(input.keyId);
    },

    async deleteKey(input: OneKeyInput): Promise<void> {
      await refuseCurrentKey(input);
      await (await providerOf(input)).delete?.(input.keyId);
    },

    async proveOldKeyRefused(input: KeyInput): Promise<void> {
      const { secretId, currentVersionId, target } = input;
      const { key, fields } = await store.ofVersion(secretId, currentVersionId, target);
      const provider = await providers.open({ ...target, secretId }, fields);
      if ((await provider.verify(key)) === 'refused') return;
      const message = `the provider still accepts the old key ${key.id ?? ''} of ${secretId}`;
      throw isSettling(provider)
        ? failure(Cause.NotYetVisible, `${message}, which may take its time; it is tried again.`)
        : failure(Cause.OldCredentialAccepted, `${message}. Revoke it at the provider by hand.`);
    },

    /** Activates the key of an earlier version again, for going back to it. @throws NothingToRollBackTo when it is gone. */
    async reviveKey(input: KeyInput): Promise<void> {
      const { secretId, versionId, target } = input;
      const { key } = await store.ofVersion(secretId, versionId, target);
      const provider = await providerOf(input);
      const found = (await provider.list?.())?.find(({ id }) => id === key.id);
      if (found?.active === false && provider.reactivate) await provider.reactivate(found.id);
      if ((await provider.verify(key)) === 'accepted') return;
      if (found && isSettling(provider)) {
        throw failure(Cause.NotYetVisible, `the provider does not accept the key ${found.id} yet; it is tried again.`);
      }
      throw failure(
        Cause.NothingToRollBackTo,
        `the key ${key.id ?? ''} of the version labelled AWSPREVIOUS of ${secretId} is revoked; there is nothing to go back to. AWSCURRENT was left as it is. To change the key again: keyturn rotate ${secretId}`,
      );
    },

    /** Only of this rotation: another's is not removed. */
    async removeSecondary({ versionId, target }: KeyInput): Promise<void> {
      const found = await store.secondary(target);
      if (found?.record.rotation === versionId) await store.removeSecondary(target);
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

/** Whether the step is so young that the provider may not know everywhere yet what was changed. By the server's clock alone. */
function isSettling({ settleMs }: ApiKeyProvider): boolean {
  const { scheduledTimestampMs, currentAttemptScheduledTimestampMs } = Context.current().info;
  return currentAttemptScheduledTimestampMs - scheduledTimestampMs < settleMs;
}
