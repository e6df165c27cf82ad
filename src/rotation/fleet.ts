import { Cause, RotationFailure } from './errors';
import type { CauseDetails } from './errors';
import type { SecretType } from './names';
import type { Outcome, RotationStatus } from './types';

/** What a fleet can be told to rotate. */
export const FLEET_TYPES = [
  'all',
  'database',
  'api-keys',
  'app-secrets',
  'certificates',
  'ssh-keys',
  'kms-keys',
] as const;
export type FleetType = (typeof FLEET_TYPES)[number];

/** The types of secrets that each stands for; those that no catalog can declare yet stand for none. */
const SECRET_TYPES_OF: Record<FleetType, readonly SecretType[]> = {
  all: ['app-secret', 'database', 'api-key'],
  database: ['database'],
  'api-keys': ['api-key'],
  'app-secrets': ['app-secret'],
  certificates: [],
  'ssh-keys': [],
  'kms-keys': [],
};

/** Without any, all. */
export function secretTypesOf(types: readonly FleetType[] = ['all']): ReadonlySet<SecretType> {
  return new Set(types.flatMap((type) => SECRET_TYPES_OF[type]));
}

/** Those of the types that Keyturn does not rotate yet. */
export function unknownYet(types: readonly FleetType[] = []): FleetType[] {
  return types.filter((type) => SECRET_TYPES_OF[type].length === 0);
}

/** The one argument of the workflow `rotateEnvironment`. */
export interface FleetInput {
  environment: string;
  /** All when absent. */
  types?: FleetType[];
  /** Only what is older than its `maxAge`, or does not exist yet. */
  due?: boolean;
  /** How many rotations run at once; the catalog's `fleet.concurrency` when absent. */
  concurrency?: number;
  /** Why, for the audit trail. */
  reason?: string;
  /** Who, for the audit trail. */
  requestedBy?: string;
  /** Every rotation only says what it would do. */
  dryRun?: boolean;
  /** Credentials leaked: grace zero, before everything else, also what was rotated minutes ago. */
  emergency?: boolean;
}

/** How fast a fleet goes, and when it gives up. */
export interface FleetPolicy {
  /** Rotations at once. */
  concurrency: number;
  /** Rotations at once on one target system. */
  perTarget: number;
  /** Workloads and services that the rotations under way may restart, together. */
  maxRestartsAtOnce: number;
  /** After so many failures in a row, on one target system or over all, no further one is started there. */
  stopAfterFailures: number;
}

/** One secret as the fleet sees it: references, never a value. */
export interface FleetSecret {
  /** The name below the environment. */
  secret: string;
  type: SecretType;
  /** The system that it opens, such as `db.example.com:5432`; absent where it opens none, or that is not known. */
  target?: string;
  /** What only one rotation at once may change: a login, a group role, a workload. */
  alone: string[];
  /** What several rotations may use at once, but not while another one changes it: an administrator's login. */
  uses: string[];
  /** How many workloads and services it restarts at once. */
  restarts: number;
  /** When it last changed, in milliseconds since the epoch; absent when it does not exist. */
  changedAt?: number;
  /** Why it is not rotated now. */
  skip?: { outcome: 'not-due' | 'too-soon'; reason: string };
}

/** What an activity found in one page of the catalog. */
export interface FleetSurvey {
  policy: FleetPolicy;
  /** In the catalog's order. */
  secrets: FleetSecret[];
  /** Where the next page begins; absent after the last. */
  next?: number;
}

export type FleetOutcome =
  | Outcome
  | Exclude<NonNullable<RotationStatus['outcome']>, Outcome>
  | 'in-grace-period'
  | 'failed'
  | 'already-running'
  | 'in-the-way'
  | 'too-soon'
  | 'not-due'
  | 'not-started';

/** What became of one secret. */
export interface FleetEntry {
  secret: string;
  type: SecretType;
  outcome: FleetOutcome;
  /** Absent when none was started, except where it says what runs already. */
  workflowId?: string;
  runId?: string;
  /** For `in-grace-period`, ISO 8601. */
  graceEndsAt?: string;
  /** Why it failed. */
  cause?: CauseDetails;
  /** Why it was not rotated. */
  reason?: string;
  /** In an emergency: what ran before, and was ended or waited for. */
  after?: string;
}

export interface FleetCounts {
  total: number;
  succeeded: number;
  failed: number;
  /** Left as they are on purpose: not due, rotated minutes ago, running already. */
  skipped: number;
  notStarted: number;
}

/** What `rotateEnvironment` returns. */
export interface FleetReport extends FleetCounts {
  environment: string;
  types: FleetType[];
  dryRun?: boolean;
  emergency?: boolean;
  requestedBy?: string;
  reason?: string;
  /** ISO 8601. */
  startedAt: string;
  endedAt: string;
  /** Why it did not start all. */
  stopped?: string;
  /** What an operator should know besides. */
  notes?: string[];
  /** By name. */
  secrets: FleetEntry[];
}

/** The answer to the query `status`. */
export interface FleetStatus extends FleetCounts {
  environment: string;
  types: FleetType[];
  due: boolean;
  dryRun: boolean;
  emergency: boolean;
  phase: 'planning' | 'rotating' | 'finished';
  startedAt: string;
  requestedBy?: string;
  reason?: string;
  concurrency?: number;
  waiting: number;
  running: { secret: string; type: SecretType; startedAt: string }[];
  /** In an emergency: how many wait for the end of a rotation that ran before; absent when none does. */
  inTheWay?: number;
  /** The first of them, and what is in their way since when. */
  waitsFor?: { secret: string; since: string; what: string }[];
  /** The last of them. */
  failures: FleetEntry[];
  stopped?: string;
}

/** What a rotation tells its fleet when its grace period begins. */
export interface GracePeriodBegun {
  secret: string;
  /** The first run ID of the rotation; absent from those that began on an earlier worker. */
  runId?: string;
  /** ISO 8601. */
  graceEndsAt: string;
}

/** How a rotation's workflow failed, without anything of Temporal's. */
export interface WorkflowFailure {
  /** One of RotationFailure, or what ended the workflow: `Terminated`, `TimedOut`, `Cancelled`. */
  type: string;
  message: string;
  /** The failure's first detail. */
  details?: unknown;
}

/** A run that was looked at and has ended. */
export interface EndedRotation {
  secret: string;
  outcome?: Outcome;
  failure?: WorkflowFailure;
}

const OUTCOME_OF: Record<string, FleetOutcome> = {
  [RotationFailure.RotationRolledBack]: 'rolled-back',
  [RotationFailure.RollbackIncomplete]: 'rollback-incomplete',
  [RotationFailure.RetirementIncomplete]: 'retirement-incomplete',
  [RotationFailure.RotationRefused]: 'refused',
};

/** Reports of thousands must fit into one payload of 2 MB. */
const LONGEST_MESSAGE = 300;

/** What a failed rotation means in a report. */
export function failedEntry({ type, message, details }: WorkflowFailure): Pick<FleetEntry, 'outcome' | 'cause'> {
  const cause = (details as { cause?: Partial<CauseDetails> } | undefined)?.cause;
  return {
    outcome: OUTCOME_OF[type] ?? 'failed',
    cause: { type: cause?.type ?? type, message: shortened(cause?.message ?? message) },
  };
}

export function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE - 1)}…` : line;
}

const GROUP: Record<FleetOutcome, 'succeeded' | 'failed' | 'skipped' | 'notStarted'> = {
  rotated: 'succeeded',
  restored: 'succeeded',
  delivered: 'succeeded',
  unchanged: 'succeeded',
  'dry-run': 'succeeded',
  'in-grace-period': 'succeeded',
  aborted: 'failed',
  'rolled-back': 'failed',
  'rollback-incomplete': 'failed',
  'retirement-incomplete': 'failed',
  refused: 'failed',
  failed: 'failed',
  'in-the-way': 'failed',
  'already-running': 'skipped',
  'too-soon': 'skipped',
  'not-due': 'skipped',
  'not-started': 'notStarted',
};

/** What stands in one secret's own way; the others of its target, and all others, may be quite well. */
const OF_ONE_SECRET: ReadonlySet<string> = new Set([
  Cause.UnknownSecret,
  Cause.WrongSecretType,
  Cause.SecretUnusable,
  Cause.ForeignRotation,
  Cause.VersionNotExpected,
  Cause.LabelsMoved,
  Cause.LoginNotOurs,
  Cause.TooManyKeys,
  Cause.KeyNotOurs,
]);

/** Whether a rotation was refused for what concerns its secret alone. */
export function isRefusalOfOneSecret({ outcome, cause }: Pick<FleetEntry, 'outcome' | 'cause'>): boolean {
  return outcome === 'refused' && cause !== undefined && OF_ONE_SECRET.has(cause.type);
}

export function groupOf(outcome: FleetOutcome): keyof Omit<FleetCounts, 'total'> {
  return GROUP[outcome];
}
