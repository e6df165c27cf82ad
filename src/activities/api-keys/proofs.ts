import { Context } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { readOwnCurrent } from '../secrets-manager/current-version';
import type { ApiKeyProvider } from './provider';
import type { KeyAccess, KeyInput } from './replaced-key';

export interface ProveKeyInput extends KeyInput {
  /** `secondary`: the key that this rotation has stored there; `primary`: the one that AWSCURRENT names. */
  where: 'secondary' | 'primary';
}

/** Tries keys, as an application would. */
export function createProofActivities({ store, openReplaced }: KeyAccess) {
  return {
    /** Tries the key, which the provider may count as a use of it. @returns what it calls the last use now. */
    async confirmCurrentKey(input: KeyInput): Promise<{ ownUse?: string }> {
      const { secretId } = input;
      const { key, provider } = await openReplaced(input);
      if ((await provider.verify(key)) === 'accepted') {
        return { ownUse: key.id === undefined ? undefined : await provider.lastUsed?.(key.id) };
      }
      throw failure(
        Cause.CurrentCredentialRefused,
        `the provider refuses the key ${key.id ?? ''} in AWSCURRENT of ${secretId}. Nothing was changed. Store a key there that works; if it was revoked because it leaked, rotate with --emergency.`,
      );
    },

    /** Proves that a key is accepted. A new one may need its time to be known everywhere. */
    async proveKey(input: ProveKeyInput): Promise<void> {
      const { secretId, versionId, target, where } = input;
      const found =
        where === 'primary'
          ? await readOwnCurrent(input, () => store.ofCurrent(secretId, target))
          : await store.storedKey(target, versionId);
      if (!found) throw failure(Cause.NotYetVisible, `${target.secondarySecretId} does not show the new key yet.`);
      const { provider } = await openReplaced(input);
      if ((await provider.verify(found.key)) === 'accepted') return;
      const message = `the provider refuses the new key ${found.key.id ?? ''} of ${secretId}`;
      throw isSettling(provider)
        ? failure(Cause.NotYetVisible, `${message}, which it may not know everywhere yet; it is tried again.`)
        : failure(Cause.CandidateRefused, `${message}.`);
    },

    async proveOldKeyRefused(input: KeyInput): Promise<void> {
      const { secretId } = input;
      const { key, provider } = await openReplaced(input);
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
      const { provider } = await openReplaced(input);
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
  };
}

/** Whether the step is so young that the provider may not know everywhere yet what was changed. By the server's clock alone. */
function isSettling({ settleMs }: ApiKeyProvider): boolean {
  const { scheduledTimestampMs, currentAttemptScheduledTimestampMs } = Context.current().info;
  return currentAttemptScheduledTimestampMs - scheduledTimestampMs < settleMs;
}
