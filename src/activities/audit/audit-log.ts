import type { OutsideCall } from '../boundary/activity-scope';

/**
 * How what the record tells of stands: `started` comes before a step touches anything, `succeeded` or `failed` after it;
 * `accepted` and `refused` are the answers to an operator's act. A `started` without an end is a step whose worker died or
 * lost the audit log in the middle; its next attempt has a `started` of its own.
 */
export type AuditOutcome = 'started' | 'succeeded' | 'failed' | 'accepted' | 'refused';

/** Who did what to which secret, and what came of it. Holds no secret value. */
export interface AuditEntry {
  /** The person or schedule that asked for it; `unknown` when nobody said. */
  who: string;
  /** The activity's type, or the operator's act. */
  what: string;
  outcome: AuditOutcome;
  /** The step of the recipe that it belongs to. */
  step?: string;
  /** `{environment}/{name}`. */
  secretId?: string;
  /** The VersionId in Secrets Manager that was acted on or made. */
  versionId?: string;
  reason?: string;
  workflow?: { id: string; runId: string; type?: string };
  activity: { type: string; id: string; attempt: number; local: boolean; taskQueue: string };
  /** The activity's argument. */
  input?: unknown;
  outsideCalls?: OutsideCall[];
  durationMs?: number;
  result?: unknown;
  failure?: { type: string; message: string };
}

/** An entry in its place in the chain. */
export interface AuditRecord {
  /** Counts from 1 without gaps. */
  seq: number;
  /** When the audit log took it in, by its own clock; ISO 8601. */
  at: string;
  /** SHA-256 over the record and the hash of the one before, as hex. */
  hash: string;
  entry: AuditEntry;
}

/** All that are given must match. */
export interface AuditFilter {
  secretId?: string;
  environment?: string;
  workflowId?: string;
  who?: string;
  /** The activity's type, or the operator's act. */
  what?: string;
  since?: Date;
  /** At most so many, the newest; 100 by default. */
  limit?: number;
}

/** The end of the chain. Noted elsewhere, it lets a later verification find even a chain that was written anew. */
export interface ChainHead {
  /** 0 while the log is empty. */
  seq: number;
  /** Hex. */
  hash: string;
}

export interface ChainProblem {
  seq: number;
  what: string;
}

export interface AuditVerification {
  ok: boolean;
  /** How many records there are. */
  records: number;
  /** What the log itself says its end is; absent when it no longer says. */
  head?: ChainHead;
  /** In the chain's order; at most 100. */
  problems: ChainProblem[];
}

/** The append-only record of everything that Keyturn does. Every method throws {@link AuditLogError}. */
export interface AuditLog {
  /** Returns when the entry is durable. When it throws, the entry may still have been taken in. */
  append(entry: AuditEntry): Promise<void>;
  /** Newest last. */
  list(filter?: AuditFilter): Promise<AuditRecord[]>;
  /**
   * Recomputes the whole chain.
   *
   * @param expectedHead an earlier head, as `seq:hash`, that must still be part of the chain.
   */
  verify(options?: { expectedHead?: string }): Promise<AuditVerification>;
  /** Waits for the appends under way. */
  close(): Promise<void>;
}

/** PostgreSQL's `insufficient_privilege`, `undefined_function` and `invalid_schema_name`. */
const NOT_SET_UP = ['42501', '42883', '3F000'];

/** The audit log cannot be reached, refuses, or was asked something that makes no sense. Its message holds no password. */
export class AuditLogError extends Error {
  override readonly name = 'AuditLogError';

  constructor(
    message: string,
    /** PostgreSQL's SQLSTATE, where it was PostgreSQL that refused. */
    readonly sqlState?: string,
  ) {
    super(message);
  }

  /** The database lacks what was asked of it, or a right to it: deploy/postgres/audit.sql was not run, or that of an earlier version. */
  get isNotSetUp(): boolean {
    return this.sqlState !== undefined && NOT_SET_UP.includes(this.sqlState);
  }
}
