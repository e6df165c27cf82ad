import { Cause } from '../../rotation/errors';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import { parseJsonSecret } from '../secrets-manager/json-secret';
import type { SecretStore } from '../secrets-manager/store';
import { credentialOf } from './credential';
import type { ApiKeyCredential } from './provider';
import type { ApiKeySecret } from './providers';
import { announced, emptySecondary, recordOf, secondaryWithKey } from './secondary';
import type { SecondaryRecord } from './secondary';

/** The secret and its secondary, as the catalog describes them. */
export interface ApiKeyTarget extends Omit<ApiKeySecret, 'secretId'> {
  secondarySecretId: string;
}

/** A version that holds a key. */
export interface StoredKey {
  key: ApiKeyCredential;
  /** All its fields. */
  fields: Record<string, unknown>;
}

/** The secondary as a rotation finds it. */
export interface FoundSecondary {
  record: SecondaryRecord;
  /** VersionIds. */
  current?: string;
  pending?: string;
}

/**
 * The VersionIds of the secondary derive from the rotation's own, so that every write can be repeated: the first version holds only the
 * record, the next also what keys there are when the provider is asked for another, the next the new key, then one for each
 * announcement, and one without the key when it is withdrawn.
 */
export const secondaryVersions = {
  empty: (candidate: string) => candidate,
  asking: (candidate: string) => `${candidate}-asking`,
  key: (candidate: string) => `${candidate}-key`,
  announcement: (candidate: string, n: number) => `${candidate}-${n}`,
  withdrawn: (candidate: string) => `${candidate}-withdrawn`,
};

/** Reads and writes the versions of an API key's two secrets. */
export function createKeyStore(secrets: SecretStore) {
  const described = (secretId: string, versionId: string) => `version ${versionId} of ${secretId}`;

  const keyIn = ({ fields }: ApiKeyTarget, text: string, where: string): StoredKey => ({
    key: credentialOf(fields, text, where),
    fields: parseJsonSecret(text, where),
  });

  /** Puts a version into the secondary and makes it the one that applications read. */
  async function publish(
    secondaryId: string,
    from: string | undefined,
    versionId: string,
    text: string,
  ): Promise<void> {
    // Stored twice it would lose AWSCURRENT in moto, where an earlier attempt has moved that already.
    if ((await secrets.findVersion(secondaryId, versionId)) === undefined) {
      await secrets.putPending(secondaryId, versionId, protect(text));
    }
    await secrets.moveLabels(secondaryId, [
      { label: 'current', from, to: versionId },
      { label: 'pending', from: versionId },
    ]);
  }

  return {
    async ofVersion(secretId: string, versionId: string, target: ApiKeyTarget): Promise<StoredKey> {
      const text = await secrets.readVersion(secretId, versionId);
      return keyIn(target, text, described(secretId, versionId));
    },

    async ofCurrent(secretId: string, target: ApiKeyTarget): Promise<StoredKey & { versionId: string }> {
      const { versionId, text } = await secrets.readCurrent(secretId);
      return { ...keyIn(target, text, described(secretId, versionId)), versionId };
    },

    /** What the secondary says of the rotation that made it. @throws KeyNotOurs when it was not made by Keyturn. */
    async secondary({ secondarySecretId: id }: ApiKeyTarget): Promise<FoundSecondary | undefined> {
      const { exists, labels } = await secrets.inspect(id);
      if (!exists) return undefined;
      const { current, pending } = labels;
      const records: SecondaryRecord[] = [];
      for (const versionId of [pending, current]) {
        const text = versionId && (await secrets.findVersion(id, versionId));
        if (text) records.push(recordOf(text, described(id, versionId)));
      }
      const record = records.find(({ keyId }) => keyId !== undefined) ?? records[0];
      if (record) return { record, current, pending };
      throw failure(
        Cause.KeyNotOurs,
        `${id} exists without a value that can be read, but a rotation needs that name for the new key. It was left as it is. Delete it: aws secretsmanager delete-secret --secret-id ${id}`,
      );
    },

    /** Makes it durable that this rotation sets out to create a key, before it does. */
    async createSecondary(
      secretId: string,
      { secondarySecretId: id }: ApiKeyTarget,
      record: SecondaryRecord,
    ): Promise<void> {
      // Whoever may not decrypt the one must not be able to decrypt the other.
      const { kmsKeyId } = await secrets.inspect(secretId);
      const description = `The new API key while the old one still works; made and removed by Keyturn`;
      await secrets.create(id, secondaryVersions.empty(record.rotation), emptySecondary(record), {
        description,
        kmsKeyId,
      });
    },

    /**
     * Makes it durable what keys there are when the provider is first asked for another, at the last moment: one that is not among
     * them is the rotation's own, and one that is was made by somebody else.
     *
     * @returns the record of the first time.
     */
    async noteAsking({ secondarySecretId: id }: ApiKeyTarget, record: SecondaryRecord): Promise<SecondaryRecord> {
      const versionId = secondaryVersions.asking(record.rotation);
      if ((await secrets.findVersion(id, versionId)) === undefined) {
        await secrets.putPending(id, versionId, emptySecondary(record));
      }
      return recordOf(await secrets.readVersion(id, versionId), described(id, versionId));
    },

    /** The key that this rotation has stored in the secondary; `undefined` while there is none. */
    async storedKey(
      target: ApiKeyTarget,
      candidate: string,
    ): Promise<(StoredKey & { record: SecondaryRecord }) | undefined> {
      const versionId = secondaryVersions.key(candidate);
      const text = await secrets.findVersion(target.secondarySecretId, versionId);
      if (text === undefined) return undefined;
      const where = described(target.secondarySecretId, versionId);
      return { ...keyIn(target, text, where), record: recordOf(text, where) };
    },

    async storeKey(
      target: ApiKeyTarget,
      primary: Record<string, unknown>,
      key: ApiKeyCredential,
      record: SecondaryRecord,
    ): Promise<void> {
      const text = protect(secondaryWithKey(primary, target.fields, key, record));
      await secrets.putPending(target.secondarySecretId, secondaryVersions.key(record.rotation), text);
    },

    /** @param from the version that the text is taken from; `currentFrom` the one that applications read now. */
    async announce(
      { secondarySecretId: id }: ApiKeyTarget,
      versions: { from: string; currentFrom: string; to: string },
      graceEndsAt: string,
      phaseInPercent: number,
    ): Promise<void> {
      const { from, currentFrom, to } = versions;
      const where = described(id, from);
      const text = announced(await secrets.readVersion(id, from), where, graceEndsAt, phaseInPercent);
      await publish(id, currentFrom, to, text);
      await secrets.tag(id, { 'keyturn:grace-ends-at': graceEndsAt });
    },

    /** Applications that read the secondary find no key in it any more. */
    async withdraw({ secondarySecretId: id }: ApiKeyTarget, { record, current }: FoundSecondary): Promise<void> {
      const versionId = secondaryVersions.withdrawn(record.rotation);
      if (current === versionId) return;
      await publish(id, current, versionId, emptySecondary(record));
    },

    async removeSecondary({ secondarySecretId: id }: ApiKeyTarget): Promise<void> {
      await secrets.deleteNow(id);
    },
  };
}

export type KeyStore = ReturnType<typeof createKeyStore>;
