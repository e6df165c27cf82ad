import type { SecretType } from './names';

/** The one argument of every rotation workflow. */
export interface RotationInput {
  environment: string;
  /** The secret's name below the environment. */
  secret: string;
  /** Why, for the audit trail. */
  reason?: string;
  /** Who, for the audit trail. */
  requestedBy?: string;
  /** Says what would be done and touches nothing. */
  dryRun?: boolean;
  /** Overrides the catalog's grace period, as a duration such as `'7 days'`. */
  gracePeriod?: string;
  /** The credential leaked: grace zero. */
  emergency?: boolean;
  /**
   * The VersionId that the candidate gets, instead of the run ID: the ClientRequestToken of the rotation that Secrets Manager itself
   * has started. The secret must carry AWSPENDING on that version.
   */
  versionId?: string;
}

/** What a VersionId given from outside may look like; Secrets Manager takes 32 to 64 characters (AWS API reference, 'PutSecretValue'). */
export const VERSION_ID = /^[A-Za-z0-9._-]{32,64}$/;

/** Where a rotation stands; the value of the search attribute KeyturnPhase. */
export type Phase = 'planning' | 'rotating' | 'grace-period' | 'retiring' | 'rolling-back' | 'finished';

export type StepState =
  'pending' | 'running' | 'waiting-for-audit' | 'done' | 'skipped' | 'failed' | 'undoing' | 'undone' | 'undo-failed';

export interface StepStatus {
  name: string;
  /** What the step does, in words. */
  summary: string;
  state: StepState;
  /** Why it failed, or why undoing it is being tried again. */
  problem?: string;
  /** ISO 8601. */
  startedAt?: string;
  endedAt?: string;
}

export type Outcome = 'rotated' | 'restored' | 'delivered' | 'unchanged' | 'aborted' | 'dry-run';

/** The answer to the query `status`. */
export interface RotationStatus {
  environment: string;
  secret: string;
  /** Known once the plan is. */
  type?: SecretType;
  phase: Phase;
  /** The step that runs now, or ran last. */
  step: string;
  steps: StepStatus[];
  /** VersionIds in Secrets Manager. */
  versions: { current?: string; candidate?: string };
  startedAt: string;
  requestedBy?: string;
  reason?: string;
  /** The credential leaked: grace zero. */
  emergency?: true;
  graceEndsAt?: string;
  /** The latest that the grace period's end can be moved to. */
  graceEndsLatest?: string;
  /** What share of use the new key gets, 0 to 100. */
  phaseInPercent?: number;
  /** For an API key: the provider's public IDs of the old key and the new one. */
  keys?: { old?: string; new?: string };
  pastPointOfNoReturn: boolean;
  /** Who asked for what while it ran, in order, the last hundred; refused requests say why. */
  requests: OperatorRequest[];
  /** How many requests came before those. */
  earlierRequests?: number;
  outcome?: Outcome | 'rolled-back' | 'rollback-incomplete' | 'retirement-incomplete' | 'refused';
}

export interface OperatorRequest {
  request: 'abort' | 'extendGracePeriod' | 'endGracePeriod' | 'setPhaseIn';
  at: string;
  /** What of it: `by 3 days`, `until 2030-01-31T08:00:00Z`, `50 %`. */
  asked?: string;
  requestedBy?: string;
  reason?: string;
  /** Why nothing was done; absent when it was accepted. */
  refused?: string;
}

/** What a rotation workflow returns. */
export interface RotationResult {
  outcome: Outcome;
  environment: string;
  secret: string;
  type?: SecretType;
  /** VersionIds: what was AWSCURRENT before, and what is now. */
  versions: { previous?: string; current?: string };
  /** What was done, or for a dry run would be done, step by step. */
  steps: { name: string; summary: string }[];
  /** Things that an operator should know although the rotation succeeded. */
  warnings?: string[];
  /** It was asked for because the credential leaked. */
  emergency?: true;
  /** For an abort: who asked and why. */
  requestedBy?: string;
  reason?: string;
}

export interface AbortRequest {
  reason?: string;
  requestedBy?: string;
}

/** Either by a duration from the deadline in force, or until an ISO time. */
export interface ExtendGracePeriodRequest {
  by?: string;
  until?: string;
  /** Two requests with the same ID count once; for a signal that may have been sent twice. */
  requestId?: string;
  reason?: string;
  requestedBy?: string;
}

export interface EndGracePeriodRequest {
  reason?: string;
  requestedBy?: string;
}

export interface SetPhaseInRequest {
  /** 0 to 100, whole. */
  percent: number;
  reason?: string;
  requestedBy?: string;
}

/** The answer to an accepted update. */
export interface RequestAccepted {
  accepted: string;
  graceEndsAt?: string;
  phaseInPercent?: number;
}

/** Where the three staging labels are, as VersionIds. */
export interface StagingLabels {
  current?: string;
  previous?: string;
  pending?: string;
}

/** One staging label on its way; `to` absent takes it off. */
export interface LabelMove {
  label: keyof StagingLabels;
  /** The version that it is expected on; absent when on none. */
  from?: string;
  to?: string;
}

/** What an inspection found of a secret, without its value. */
export interface SecretInspection {
  exists: boolean;
  arn?: string;
  /** The KMS key that encrypts it; the account's own for Secrets Manager when absent. */
  kmsKeyId?: string;
  labels: StagingLabels;
  /** The version that Secrets Manager expects has a value already: an earlier run with the same VersionId did not end by itself. */
  candidateStored?: boolean;
  /** It will be deleted unless it is taken back; only a restore works with such a secret. */
  scheduledForDeletion?: boolean;
}
