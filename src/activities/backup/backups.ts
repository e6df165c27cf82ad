import { bulkhead } from 'cockatiel';
import { ApplicationFailure } from '@temporalio/common';
import {
  backupObjectKey,
  backupPrefix,
  backupUrl,
  parseBackupTime,
  parseBackupUrl,
  timeOfObjectKey,
} from '../../rotation/backup';
import type { BackupPlace, BackupPlan, BackupReference, LeftOut } from '../../rotation/backup';
import { Cause } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import { failure } from '../failures';
import type { SecretStore } from '../secrets-manager/store';
import type { BackupBucket } from './bucket';
import { readDocument, writeDocument } from './document';
import type { BackedUpSecret, OpenedBackup } from './document';
import type { BackupEnvelope } from './envelope';
import { whyUnreadable } from './one-secret';

/** Below Secrets Manager's quota of 10,000 reads a second by far, and quick enough for thousands of secrets. */
const READS_AT_ONCE = 16;

/** Restoring many secrets opens the same backup for each; it is kept in memory between them and no longer. */
const KEPT_OPEN_MS = 60_000;

/** A secret that its first rotation will create is like this, too. */
const NOT_THERE = 'does not exist';

export interface BackupRequest extends BackupPlan {
  environment: string;
  time: string;
  /** Set when the backup is of one secret before its rotation. */
  only?: string;
  /** The names, and whether AWSPREVIOUS is wanted too. */
  secrets: { name: string; previous: boolean }[];
}

export interface TakenBackup {
  url: string;
  secrets: number;
  leftOut: LeftOut[];
}

/** Backups in the words of operators. */
export interface Backups {
  /**
   * Reads the secrets, encrypts them and stores them as one object. One that cannot be read is left out, and said to be; where it is the
   * `only` one, that fails. Repeating it with the same time is harmless.
   */
  take(request: BackupRequest): Promise<TakenBackup>;
  /**
   * @param from `latest`, a time, or `s3://…`.
   * @param kmsKey the ARN of the key that it is under, where that is no longer the alias's.
   */
  find(environment: string, plan: BackupPlan, from: string, kmsKey?: string): Promise<BackupReference>;
  /** Loads and verifies a whole backup. */
  open(backup: BackupReference): Promise<OpenedBackup>;
}

export function createBackups(secrets: SecretStore, bucket: BackupBucket, envelope: BackupEnvelope): Backups {
  let kept: { id: string; opened: Promise<OpenedBackup>; forget: NodeJS.Timeout } | undefined;

  async function load(backup: BackupReference): Promise<OpenedBackup> {
    const ciphertext = await bucket.get(backup.bucket, backup.key, backup.objectVersion);
    return readDocument(await envelope.open(ciphertext, backup), backup);
  }

  /** @returns why it is left out, where it cannot be backed up. */
  async function read(environment: string, name: string, withPrevious: boolean): Promise<BackedUpSecret | string> {
    const secretId = secretIdOf(environment, name);
    const found = await secrets.describe(secretId);
    if (!found) return NOT_THERE;
    if (found.scheduledForDeletion) return 'is scheduled for deletion and cannot be read';
    const { current, previous } = found.labels;
    if (!current) return 'has no version labelled AWSCURRENT';
    const text = await secrets.readVersion(secretId, current);
    const backedUp: BackedUpSecret = { name, about: found.about, current: { versionId: current, text } };
    const before = withPrevious && previous ? await unlessUnusable(secretId, previous) : undefined;
    if (before && previous) backedUp.previous = { versionId: previous, text: before };
    return backedUp;
  }

  /** What AWSPREVIOUS is only helps; one that cannot be read opens nothing. */
  async function unlessUnusable(secretId: string, versionId: string): Promise<string | undefined> {
    try {
      return await secrets.findVersion(secretId, versionId);
    } catch (error) {
      if (error instanceof ApplicationFailure && error.type === Cause.SecretUnusable) return undefined;
      throw error;
    }
  }

  return {
    async take({ environment, time, only, secrets: wanted, ...plan }) {
      await bucket.refuseUnversioned(plan.bucket);
      const keyArn = await envelope.keyArnOf(plan.kmsKey);
      const lanes = bulkhead(READS_AT_ONCE, wanted.length);
      const found = await Promise.all(
        wanted.map(({ name, previous }) =>
          lanes
            .execute(() => read(environment, name, previous))
            .catch((error: unknown) => {
              // A rotation that cannot back up its secret says why in the cause's own words.
              if (only !== undefined) throw error;
              return `cannot be read: ${whyUnreadable(error)}`;
            }),
        ),
      );
      const backedUp = found.filter((secret) => typeof secret !== 'string');
      const leftOut = found.flatMap((why, n) =>
        typeof why === 'string'
          ? [{ secret: wanted[n]?.name ?? '', why, ...(why !== NOT_THERE && { expected: true }) }]
          : [],
      );
      if (backedUp.length === 0) {
        throw failure(
          Cause.SecretUnusable,
          `None of the ${wanted.length} secrets of ${environment} can be read, so no backup was stored: it would be the latest one, and empty. The first: ${leftOut[0]?.secret ?? 'the catalog names none'} ${leftOut[0]?.why ?? ''}. If they were lost: keyturn restore ${environment} --from latest`,
        );
      }
      const key = backupObjectKey(environment, time, only);
      const unreadable = leftOut.filter(({ expected }) => expected).map(({ secret }) => secret);
      const document = writeDocument({ environment, time }, backedUp, unreadable);
      const sealed = await envelope.seal(document, { environment, time, keyArn });
      await bucket.put(plan.bucket, key, sealed, keyArn);
      return { url: backupUrl({ bucket: plan.bucket, key }), secrets: backedUp.length, leftOut };
    },

    async find(environment, plan, from, kmsKey) {
      const place: BackupPlace = parseBackupUrl(from) ?? {
        bucket: plan.bucket,
        key: await keyOf(environment, plan, from),
      };
      const time = timeOfObjectKey(place.key);
      if (time === undefined) {
        throw failure(
          Cause.BackupMissing,
          `${from} is not named like a backup, {time}.json.encrypted. Nothing was changed. See what there is: keyturn backup ${environment} --list`,
        );
      }
      const keyArn = kmsKey ?? (await envelope.keyArnOf(plan.kmsKey));
      const { objectVersion } = await bucket.find(place.bucket, place.key, place.objectVersion);
      return { environment, ...place, objectVersion, time, keyArn };
    },

    async open(backup) {
      const id = JSON.stringify(backup);
      if (kept?.id !== id) {
        clearTimeout(kept?.forget);
        const opened = load(backup);
        kept = { id, opened, forget: setTimeout(() => (kept = undefined), KEPT_OPEN_MS).unref() };
        opened.catch(() => {
          if (kept?.opened === opened) kept = undefined;
        });
      }
      kept.forget.refresh();
      return kept.opened;
    },
  };

  async function keyOf(environment: string, { bucket: name }: BackupPlan, from: string): Promise<string> {
    const time = parseBackupTime(from);
    if (time !== undefined) return backupObjectKey(environment, time);
    if (from !== 'latest') {
      throw failure(
        Cause.BadInput,
        `'${from}' names no backup: expected latest, a time such as 20300131T080000.000Z, or s3://bucket/key. Nothing was changed. See what there is: keyturn backup ${environment} --list`,
      );
    }
    const stored = await bucket.list(name, backupPrefix(environment));
    const latest = stored.findLast(({ key }) => timeOfObjectKey(key) !== undefined);
    if (latest) return latest.key;
    throw failure(
      Cause.BackupMissing,
      `There is no backup of ${environment} in s3://${name}/${backupPrefix(environment)}. Nothing was changed.`,
    );
  }
}

/** One secret of a backup. @throws BackupMissing when it does not hold it. */
export async function backedUpSecret(
  backups: Backups,
  backup: BackupReference,
  secretId: string,
): Promise<BackedUpSecret> {
  const found = (await backups.open(backup)).secret(secretId.slice(backup.environment.length + 1));
  if (found) return found;
  throw failure(Cause.BackupMissing, `${backupUrl(backup)} does not hold ${secretId}. Nothing was changed.`);
}
