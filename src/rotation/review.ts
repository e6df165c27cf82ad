import type { SecretAgeEntry } from './ages';

/** How often somebody looks at a secret and asks whether it is still needed. */
export const REVIEW_INTERVALS = ['weekly', 'monthly', 'quarterly', 'yearly'] as const;
export type ReviewInterval = (typeof REVIEW_INTERVALS)[number];

/** What the catalog can say of that. */
export const REVIEWS = [...REVIEW_INTERVALS, 'off'] as const;
export type Review = (typeof REVIEWS)[number];

const DAY_MS = 86_400_000;

/** The longest time between two reviews, in milliseconds: first Mondays are four or five weeks apart. */
export const REVIEW_INTERVAL_MS: Record<ReviewInterval, number> = {
  weekly: 7 * DAY_MS,
  monthly: 35 * DAY_MS,
  quarterly: 98 * DAY_MS,
  yearly: 371 * DAY_MS,
};

export const REVIEW_WORKFLOW = 'reviewEnvironment';

/**
 * Which secrets a review is of: all, those with the environment's own interval and the ones that nobody declared, or those
 * that the catalog gives another interval.
 */
export const REVIEW_COVERAGES = ['all', 'inherited', ...REVIEW_INTERVALS] as const;
export type ReviewCoverage = (typeof REVIEW_COVERAGES)[number];

/**
 * Whether a review is of a secret.
 *
 * @param own what the catalog says of the secret; `undefined` when it does not declare it.
 * @param inherited what it says of the environment.
 */
export function isCovered(covers: ReviewCoverage, own: Review | undefined, inherited: Review): boolean {
  if (covers === 'all') return true;
  if (covers === 'inherited') return own === undefined || own === inherited;
  return own === covers && own !== inherited;
}

/** The one argument of the workflow `reviewEnvironment`. */
export interface ReviewInput {
  environment: string;
  /** All secrets when absent. Only a review of less, as the schedules start, moves on where the next one begins. */
  covers?: ReviewCoverage;
  /** Where it begins: a duration such as `'90 days'`, or an ISO 8601 time; at the last review when absent. */
  since?: string;
  /** Whether people are told; they are when absent. */
  tell?: boolean;
  /** Why, for the audit trail. */
  reason?: string;
  /** Who, for the audit trail. */
  requestedBy?: string;
}

/** How many there are, and {@link NAMED_IN_REPORT} of them at most. */
export interface Some<T> {
  total: number;
  first: T[];
}

/** Keeps a report of thousands well below the 2 MB of one payload. */
export const NAMED_IN_REPORT = 100;

export function someOf<T>(all: readonly T[]): Some<T> {
  return { total: all.length, first: all.slice(0, NAMED_IN_REPORT) };
}

/** The failures of one secret. */
export interface FailingSecret {
  /** The name below the environment. */
  secret: string;
  failures: number;
  /** How many of them changed nothing, were undone, were not undone completely, and could not retire the old credential. */
  refused: number;
  rolledBack: number;
  rollbackIncomplete: number;
  retirementIncomplete: number;
  /** The last of them: when (ISO 8601), how it ended, at which step and why. */
  last: { at: string; outcome: string; step?: string; cause?: string };
}

/** What the audit log says of a time. */
export interface FailuresFound {
  /** Rotations that brought a new version. */
  rotated: number;
  failures: number;
  /** Those with the most failures first. */
  secrets: Some<FailingSecret>;
}

/** A schedule that starts nothing. */
export interface PausedSchedule {
  scheduleId: string;
  by: 'catalog' | 'operator';
  note?: string;
}

/** What is not as the policy has it. Secrets are named without the environment. */
export interface ReviewExceptions {
  /** No schedule rotates them. */
  byHand: Some<string>;
  /** They may become older than the environment says. In milliseconds. */
  longerMaxAge: Some<{ secret: string; maxAgeMs: number; policyMs: number }>;
  paused: Some<PausedSchedule>;
}

/** What `reviewEnvironment` returns. Times are ISO 8601. */
export interface ReviewReport {
  environment: string;
  covers: ReviewCoverage;
  since: string;
  /** Why it begins there: somebody asked for it, the last review ended there, or it is one interval ago since there was none. */
  begins: 'as-asked' | 'at-the-last-review' | 'one-interval-ago';
  until: string;
  ages: { total: number; overdue: Some<SecretAgeEntry>; oldest?: SecretAgeEntry };
  /** Or why they are not known. */
  failures: FailuresFound | { problem: string };
  /** `undeclared` are those below the environment's name in Secrets Manager that the catalog does not declare. */
  exceptions: ReviewExceptions & { undeclared: Some<string> };
  /** Whether people are told of it. */
  told: boolean;
}
