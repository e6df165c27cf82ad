/**
 * The types of the failures that operators and programs see. Each is an ApplicationFailure whose message says what happened, to
 * which secret, what was left as it is, and what to do next; never a value.
 */

/** How a rotation workflow fails. */
export const RotationFailure = {
  /** A step failed; everything was undone. Details: {@link RolledBackDetails}. */
  RotationRolledBack: 'RotationRolledBack',
  /** A step failed or an abort came, and undoing could not be finished. Details: {@link RollbackIncompleteDetails}. */
  RollbackIncomplete: 'RollbackIncomplete',
  /** The new version is in use; the old one could not be retired. Details: {@link RetirementIncompleteDetails}. */
  RetirementIncomplete: 'RetirementIncomplete',
  /** It could not start; nothing was changed. Details: {@link RefusedDetails}. */
  RotationRefused: 'RotationRefused',
} as const;

/** How a backup or a restore of an environment fails. Details: {@link RefusedDetails}. */
export const BackupFailure = {
  /** No backup was stored. */
  BackupFailed: 'BackupFailed',
  /** Nothing was changed. */
  RestoreRefused: 'RestoreRefused',
} as const;
export type BackupFailure = (typeof BackupFailure)[keyof typeof BackupFailure];

/** How a look at an environment fails; nothing was changed. Details: {@link RefusedDetails}. */
export const AGE_CHECK_FAILED = 'AgeCheckFailed';

/** How a review of an environment fails; nothing was changed, and nobody was told. Details: {@link RefusedDetails}. */
export const REVIEW_FAILED = 'ReviewFailed';

/** How counting the uses of a secret ends that the catalog does not declare. Details: {@link RefusedDetails}. */
export const USAGE_REFUSED = 'UsageRefused';

/** Why a step failed. */
export const Cause = {
  WrongWorkflowId: 'WrongWorkflowId',
  AlreadyRunning: 'AlreadyRunning',
  /** An emergency waited for the end of a rotation that runs, and can wait no longer. */
  InTheWay: 'InTheWay',
  BadInput: 'BadInput',
  CatalogInvalid: 'CatalogInvalid',
  UnknownSecret: 'UnknownSecret',
  WrongSecretType: 'WrongSecretType',
  /** The secret is missing, binary, empty, not of its declared shape, or scheduled for deletion. */
  SecretUnusable: 'SecretUnusable',
  /** Somebody else rotates this secret (AWS's own rotation). */
  ForeignRotation: 'ForeignRotation',
  /** Secrets Manager has not asked for this version: its own rotation is off, or AWSPENDING is on another version. */
  VersionNotExpected: 'VersionNotExpected',
  /** A staging label is neither where this rotation found it nor where it put it. */
  LabelsMoved: 'LabelsMoved',
  /** Secrets Manager does not show a version yet that it has stored. */
  NotYetVisible: 'NotYetVisible',
  /** There is no version to go back to. */
  NothingToRollBackTo: 'NothingToRollBackTo',
  /** AWSCURRENT does not open its target. */
  CurrentCredentialRefused: 'CurrentCredentialRefused',
  CandidateRefused: 'CandidateRefused',
  /** The old credential still opens the target although it must not. */
  OldCredentialAccepted: 'OldCredentialAccepted',
  /** None of the credentials that Keyturn knows opens the target. */
  NoWayIn: 'NoWayIn',
  /** The administrator's login is refused; it may be changing its own password. */
  AdministratorRefused: 'AdministratorRefused',
  /** A login of the intended name exists and is not a member of the group role. */
  LoginNotOurs: 'LoginNotOurs',
  SessionsStillOpen: 'SessionsStillOpen',
  PermissionDenied: 'PermissionDenied',
  /** The server does not offer the TLS that was asked for, or its certificate is not trusted. */
  TlsRefused: 'TlsRefused',
  DependentUnhealthy: 'DependentUnhealthy',
  /** A Kubernetes Secret does not get the version: the operator's condition, a missing object, or time ran out. */
  NotSynced: 'NotSynced',
  /** A workload does not become available with the version: its condition, a missing object, or time ran out. */
  RolloutFailed: 'RolloutFailed',
  /** While undoing: a workload goes on although its secret was taken back. Reloader has not restarted it, or ECS refuses to. */
  NotRestarted: 'NotRestarted',
  /** The provider issues no further key, because there are as many as it allows. */
  TooManyKeys: 'TooManyKeys',
  /** A key that this rotation neither created nor recorded stands in its way. */
  KeyNotOurs: 'KeyNotOurs',
  /** The old key is still in use at the end of the longest grace period. */
  KeyStillUsed: 'KeyStillUsed',
  /** The catalog does not say where this environment's backups go. */
  BackupNotConfigured: 'BackupNotConfigured',
  /** The bucket does not keep what is overwritten or deleted, or does not encrypt with KMS. */
  BackupBucketUnsafe: 'BackupBucketUnsafe',
  /** There is no such backup, or it does not hold the secret. */
  BackupMissing: 'BackupMissing',
  /** The backup is of another environment. */
  BackupForeign: 'BackupForeign',
  /** The backup's encryption context is not one that Keyturn made, or says another time than the object's name. */
  BackupContextWrong: 'BackupContextWrong',
  /** The backup is under another KMS key, or that key does not decrypt it. */
  BackupWrongKey: 'BackupWrongKey',
  /** The object ends before the backup does. */
  BackupTruncated: 'BackupTruncated',
  /** The object is not what was stored. */
  BackupDamaged: 'BackupDamaged',
  /** The target system or Secrets Manager cannot be reached; proves nothing about a credential. */
  TargetUnavailable: 'TargetUnavailable',
  /** It was reached, and something of this secret's own (a lock, a connection limit) is in the way. */
  TargetBusy: 'TargetBusy',
  Throttled: 'Throttled',
  /** A notification channel says no, or what it needs is missing on the worker. */
  ChannelRefused: 'ChannelRefused',
  /** The audit log cannot be written: rotations wait. */
  AuditUnavailable: 'AuditUnavailable',
  Unexpected: 'Unexpected',
} as const;
export type Cause = (typeof Cause)[keyof typeof Cause];

/** Update validators reject with these types; the client maps them to exit code 3. */
export const RequestRefusal = {
  PastPointOfNoReturn: 'PastPointOfNoReturn',
  NotInGracePeriod: 'NotInGracePeriod',
  BadRequest: 'BadRequest',
} as const;
export type RequestRefusal = (typeof RequestRefusal)[keyof typeof RequestRefusal];

export interface CauseDetails {
  type: string;
  message: string;
}

export interface RolledBackDetails {
  step: string;
  cause: CauseDetails;
  /** What was undone, in the order in which it was undone. */
  undone: string[];
  /** What there was nothing to undo for any more, and what that means. */
  warnings?: string[];
}

export interface RollbackIncompleteDetails extends RolledBackDetails {
  /** What is left to do by hand, and why it could not be done. */
  leftToDo: { step: string; todo: string; cause: CauseDetails }[];
}

export interface RetirementIncompleteDetails {
  step: string;
  cause: CauseDetails;
  leftToDo: { step: string; todo: string; cause: CauseDetails }[];
}

export interface RefusedDetails {
  step: string;
  cause: CauseDetails;
}
