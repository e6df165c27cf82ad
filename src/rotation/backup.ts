import type { SecretType } from './names';

/** Where an environment's backups go, and how long they are kept. Holds names, never a value. */
export interface BackupPlan {
  /** The S3 bucket. */
  bucket: string;
  /** The alias of the KMS key, `alias/…`. */
  kmsKey: string;
}

/** One backup, as it was found: the version of its object stays the same, whatever is stored beside it later. */
export interface BackupReference {
  environment: string;
  bucket: string;
  key: string;
  /** S3's own VersionId of the object. */
  objectVersion?: string;
  /** When it was taken, as the object's name and its encryption context say it: `20300131T080000.000Z`. */
  time: string;
  /** The ARN of the KMS key that it must be encrypted under. */
  keyArn: string;
}

/** Where one backup lies. */
export type BackupPlace = Pick<BackupReference, 'bucket' | 'key' | 'objectVersion'>;

/** The one argument of `backupSecrets`. */
export interface BackupInput {
  environment: string;
  reason?: string;
  requestedBy?: string;
}

/** A secret that a backup does not hold, and why. */
export interface LeftOut {
  secret: string;
  why: string;
  /** It exists, or may, so that a backup is expected to hold it; absent for one that does not, which may never have been made. */
  expected?: boolean;
}

export interface BackupResult {
  environment: string;
  /** `s3://…`, as `keyturn restore --from` takes it. */
  url: string;
  time: string;
  /** How many secrets it holds. */
  secrets: number;
  /** What the catalog names and the backup does not hold. */
  leftOut: LeftOut[];
  /** Things that an operator should know although the backup is there. */
  warnings: string[];
}

/** The one argument of `restoreSecrets`. */
export interface RestoreInput {
  environment: string;
  /** `latest`, a backup's time, or `s3://…`. */
  from: string;
  /** The secrets' names below the environment; all that the backup holds when absent. */
  secrets?: string[];
  /** The ARN of the KMS key that the backup is under, where the alias has moved to another one since. */
  kmsKey?: string;
  dryRun?: boolean;
  reason?: string;
  requestedBy?: string;
}

/** The one argument of `restoreSecret`, which `restoreSecrets` starts for each. */
export interface RestoreSecretInput {
  environment: string;
  secret: string;
  backup: BackupReference;
  dryRun?: boolean;
  reason?: string;
  requestedBy?: string;
}

/**
 * How a secret differs from its backup.
 *
 * `same`: AWSCURRENT is the backed-up value, and opens its target where that can be seen. `target-differs`: it is, but its target
 * refuses it. `target-unknown`: it is, and nobody can tell of its target. `unreadable`: Secrets Manager does not say what AWSCURRENT is.
 * `not-declared`: the catalog does not name it any more. `not-in-backup`: the catalog names it and the backup does not hold it.
 */
export type Difference =
  | 'same'
  | 'differs'
  | 'missing'
  | 'scheduled-for-deletion'
  | 'no-current'
  | 'target-differs'
  | 'target-unknown'
  | 'unreadable'
  | 'not-declared'
  | 'not-in-backup';

export interface SecretDifference {
  secret: string;
  difference: Difference;
  /** Why it could not be read or asked about. */
  why?: string;
  type?: SecretType;
  /** Others need it to be restored: it is an administrator's. */
  first?: boolean;
  /** It has dependents that are brought the restored version. */
  delivered?: boolean;
  /** It is not in the backup, and not usable in Secrets Manager either. */
  lost?: boolean;
  /** It is in neither, and as far as anybody knows it never was: there is nothing to restore. */
  neverCreated?: boolean;
}

/** What became of one secret. */
export interface RestoredSecret {
  secret: string;
  difference: Difference;
  /**
   * `left-out` was not touched, and of `same` the value was not, but its dependents were given it again; `to-be-delivered` is there only while the restore runs; `would-be-restored` and `would-be-delivered` are a dry run's; `refused` and `failed` are as they were before, unless
   * the message says otherwise; `not-delivered` has the right value, but a dependent does not work with it yet.
   */
  outcome:
    | 'same'
    | 'left-out'
    | 'restored'
    | 'would-be-restored'
    | 'would-be-delivered'
    | 'refused'
    | 'failed'
    | 'to-be-delivered'
    | 'not-delivered';
  /** The VersionId that is AWSCURRENT now. */
  versionId?: string;
  /** Why, where it was not restored. */
  message?: string;
  /** It is not in the backup, and not usable in Secrets Manager either: the restore is incomplete. */
  lost?: boolean;
  /** It is in neither, and as far as anybody knows it never was: nothing is missing. */
  neverCreated?: boolean;
}

export interface RestoreResult {
  outcome: 'restored' | 'incomplete' | 'dry-run';
  environment: string;
  /** `s3://…?versionId=…`: the very object, whatever is stored under its name later. */
  from: string;
  time: string;
  secrets: RestoredSecret[];
}

/** The answer to the query `progress` of `backupSecrets` and `restoreSecrets`. */
export interface BackupProgress {
  doing: string;
  done: number;
  total: number;
}

const PREFIX = 'secret-backups';
const SUFFIX = '.json.encrypted';

/** A time in ISO 8601's basic format, whose names sort by time and need no quoting: `20300131T080000.000Z`. */
export function backupTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:]/g, '');
}

/** Reads a backup's time, in basic or extended format; `undefined` when it is none. */
export function parseBackupTime(text: string): string | undefined {
  const basic = text.replaceAll(/[-:]/g, '');
  return /^\d{8}T\d{6}\.\d{3}Z$/.test(basic) ? basic : undefined;
}

/**
 * The name of the object of a backup.
 *
 * @param secret the one secret that it holds, taken before its rotation; all of the environment when absent.
 */
export function backupObjectKey(environment: string, time: string, secret?: string): string {
  return `${backupPrefix(environment, secret)}${time}${SUFFIX}`;
}

/** What the names of an environment's backups begin with. */
export function backupPrefix(environment: string, secret?: string): string {
  return `${PREFIX}/${environment}/${secret === undefined ? '' : `${secret}/`}`;
}

/** Whether a backup was taken of one secret, before its rotation, as its object's name says. */
export function isOfOneSecret({ environment, key }: Pick<BackupReference, 'environment' | 'key'>): boolean {
  const prefix = backupPrefix(environment);
  return key.startsWith(prefix) && key.includes('/', prefix.length);
}

/** The time in an object's name; `undefined` when it is not that of a backup. */
export function timeOfObjectKey(key: string): string | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  return name.endsWith(SUFFIX) ? parseBackupTime(name.slice(0, -SUFFIX.length)) : undefined;
}

/** What {@link parseBackupUrl} reads; with the object's version, where it is known. */
export function backupUrl({ bucket, key, objectVersion }: BackupPlace): string {
  return `s3://${bucket}/${key}${objectVersion === undefined ? '' : `?versionId=${objectVersion}`}`;
}

/** Splits `s3://bucket/key`, with or without `?versionId=…`; `undefined` when it is not that. */
export function parseBackupUrl(url: string): BackupPlace | undefined {
  const [, bucket, key, objectVersion] = /^s3:\/\/([^/]+)\/([^?]+)(?:\?versionId=(.+))?$/.exec(url) ?? [];
  if (bucket === undefined || key === undefined) return undefined;
  return objectVersion === undefined ? { bucket, key } : { bucket, key, objectVersion };
}

/** The workflow IDs under which an environment is backed up and restored; one of each at a time. */
export const backupWorkflowId = (environment: string): string => `backup/${environment}`;
export const restoreWorkflowId = (environment: string): string => `restore/${environment}`;
