import type { LabelMove, SecretInspection, StagingLabels } from '../../rotation/types';

/** Secrets Manager's limit for one value, in bytes (AWS: 'AWS Secrets Manager quotas'). */
export const MAX_SECRET_BYTES = 65_536;

/** A value and the version that holds it. */
export interface SecretVersion {
  versionId: string;
  text: string;
}

/** What a new secret is given besides its value. */
export interface SecretAbout {
  description?: string;
  /** The KMS key that encrypts it; the account's own for Secrets Manager when absent. */
  kmsKeyId?: string;
  tags?: Record<string, string>;
}

/** A secret as it is, whoever rotates it and whatever is planned with it. */
export interface SecretDescription {
  labels: StagingLabels;
  scheduledForDeletion: boolean;
  about: SecretAbout;
}

export interface InspectOptions {
  /** Also a secret that is scheduled for deletion. */
  deletedToo?: boolean;
  /** The version for which Secrets Manager's own rotation has asked. */
  expectedByAws?: string;
}

/** The secret store in the words of a rotation. Every value that it returns is registered for redaction. */
export interface SecretStore {
  /**
   * Where the labels are. @throws ForeignRotation when AWS rotates the secret itself, SecretUnusable when it is being deleted.
   *
   * VersionNotExpected when AWS was said to rotate it, and does not expect the version.
   */
  inspect(secretId: string, options?: InspectOptions): Promise<SecretInspection>;
  /** What there is besides values; `undefined` when there is no such secret. */
  describe(secretId: string): Promise<SecretDescription | undefined>;
  /** One version's text by its VersionId; `undefined` when there is no such secret or version. */
  findVersion(secretId: string, versionId: string): Promise<string | undefined>;
  /** The text of a version that is known to exist. @throws NotYetVisible when it is not found, SecretUnusable when binary or empty. */
  readVersion(secretId: string, versionId: string): Promise<string>;
  /** What a reader who asks for AWSCURRENT gets now. */
  readCurrent(secretId: string): Promise<SecretVersion>;
  /** Creates the secret with its first version, which is AWSCURRENT from the start. Repeating it with the same VersionId is harmless. */
  create(secretId: string, versionId: string, text: string, about?: SecretAbout): Promise<void>;
  /** Adds a version labelled AWSPENDING. Repeating it with the same VersionId is harmless. */
  putPending(secretId: string, versionId: string, text: string): Promise<void>;
  /**
   * Moves labels, each from where it is expected. One that is at its end already is left alone.
   * @throws LabelsMoved when AWSCURRENT is elsewhere: somebody moved it. AWSPREVIOUS and AWSPENDING are then left where they are.
   */
  moveLabels(secretId: string, moves: LabelMove[]): Promise<void>;
  /** Sets tags, which everybody who may list secrets can read. */
  tag(secretId: string, tags: Record<string, string>): Promise<void>;
  /** Deletes a secret at once, without a recovery window. */
  deleteNow(secretId: string): Promise<void>;
  /** Schedules a secret for deletion after the longest time that there is, 30 days. */
  scheduleDeletion(secretId: string): Promise<void>;
  /** Keeps a secret that is scheduled for deletion. */
  cancelDeletion(secretId: string): Promise<void>;
}
