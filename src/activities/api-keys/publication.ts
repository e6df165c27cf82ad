import { Cause } from '../../rotation/errors';
import { failure } from '../failures';
import { isStaged } from '../secrets-manager/staged-candidate';
import type { SecretStore } from '../secrets-manager/store';
import { secondaryVersions } from './key-store';
import type { KeyStore } from './key-store';
import type { KeyInput } from './replaced-key';
import { primaryWithKey } from './secondary';

export interface AnnounceGracePeriodInput extends KeyInput {
  /** Numbers the secondary's versions, from 1. */
  announcement: number;
  /** The number of the last one; 0 before the first. */
  last: number;
  graceEndsAt: string;
  phaseInPercent: number;
}

/** What applications find in the secondary and the primary. */
export function createPublicationActivities(secrets: SecretStore, store: KeyStore) {
  return {
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

    /** Only of this rotation: another's is not removed. */
    async removeSecondary({ versionId, target }: KeyInput): Promise<void> {
      const found = await store.secondary(target);
      if (found?.record.rotation === versionId) await store.removeSecondary(target);
    },
  };
}
