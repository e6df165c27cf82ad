import { Cause } from '../../rotation/errors';
import { backupUrl } from '../../rotation/backup';
import type { BackupReference } from '../../rotation/backup';
import { protect } from '../boundary/activity-scope';
import { failure } from '../failures';
import type { SecretAbout, SecretVersion } from '../secrets-manager/store';

const FORMAT = 'keyturn-backup/1';

/** One secret in a backup. */
export interface BackedUpSecret {
  name: string;
  about: SecretAbout;
  /** What AWSCURRENT was. */
  current: SecretVersion;
  /** What AWSPREVIOUS was; of databases only, which may have been set back to it. */
  previous?: SecretVersion;
}

/** What is encrypted. */
interface BackupDocument {
  format: typeof FORMAT;
  environment: string;
  time: string;
  secrets: BackedUpSecret[];
  /** The names of those that existed and could not be backed up; earlier backups do not say. */
  unreadable?: string[];
}

/** A backup that was verified as a whole. */
export interface OpenedBackup {
  names: string[];
  /** Whether it says that a secret existed and could not be backed up. */
  wasUnreadable(name: string): boolean;
  /** One secret of it; its values are registered for redaction. `undefined` when the backup does not hold it. */
  secret(name: string): BackedUpSecret | undefined;
}

export function writeDocument(
  { environment, time }: Pick<BackupReference, 'environment' | 'time'>,
  secrets: BackedUpSecret[],
  unreadable: string[],
): string {
  return JSON.stringify({ format: FORMAT, environment, time, secrets, unreadable } satisfies BackupDocument);
}

/** @throws BackupDamaged when it is not what {@link writeDocument} wrote; the parser's message, which quotes it, is not passed on. */
export function readDocument(text: string, backup: BackupReference): OpenedBackup {
  const document = parsed(text);
  if (document?.environment !== backup.environment || document.time !== backup.time) {
    throw failure(
      Cause.BackupDamaged,
      `${backupUrl(backup)} was decrypted and does not hold a backup that this version of Keyturn reads. Nothing was changed. Take another backup, or a newer Keyturn.`,
    );
  }
  const secrets = new Map(document.secrets.map((secret) => [secret.name, secret]));
  return {
    names: [...secrets.keys()],
    wasUnreadable: (name) => document.unreadable?.includes(name) ?? false,
    secret(name) {
      const secret = secrets.get(name);
      if (secret) for (const version of [secret.current, secret.previous]) protect(version?.text ?? '');
      return secret;
    },
  };
}

function parsed(text: string): BackupDocument | undefined {
  try {
    const document = JSON.parse(text) as Partial<BackupDocument> | null;
    return document?.format === FORMAT && Array.isArray(document.secrets) ? (document as BackupDocument) : undefined;
  } catch {
    return undefined;
  }
}
