import type { SecretType } from './names';

/** How old a secret may become that the catalog does not declare, in milliseconds. */
export const DEFAULT_MAX_AGE_MS = 90 * 86_400_000;

/** The one argument of the workflow `checkSecretAges`. */
export interface CheckAgesInput {
  environment: string;
  /** A duration such as `'30 days'` that holds for every secret instead of the catalog's `maxAge`. */
  limit?: string;
  /** Rotates what is due by the catalog, through `rotateEnvironment`. */
  start?: boolean;
  /** Whether people are told of what is overdue; they are when absent. */
  tell?: boolean;
  /** Why, for the audit trail. */
  reason?: string;
  /** Who, for the audit trail. */
  requestedBy?: string;
}

/** How old one secret is. Times are ISO 8601. */
export interface SecretAgeEntry {
  /** The name below the environment. */
  secret: string;
  /** Absent when the catalog does not declare the secret. */
  type?: SecretType;
  /** VersionId of AWSCURRENT. */
  version?: string;
  /** When the version labelled AWSCURRENT was made; absent when the secret does not exist. */
  since?: string;
  limitMs: number;
  /** When it becomes overdue. */
  dueAt?: string;
  overdue: boolean;
}

/** One page of what Secrets Manager has below an environment's name. */
export interface AgesPage {
  secrets: SecretAgeEntry[];
  /** Secrets Manager's token for the next page; absent after the last. */
  next?: string;
}

/** What `checkSecretAges` returns. */
export interface AgesReport {
  environment: string;
  /** ISO 8601. */
  checkedAt: string;
  total: number;
  overdue: number;
  /** Oldest first, those that do not exist last; {@link LISTED} at most. */
  secrets: SecretAgeEntry[];
  /** The workflow ID of the fleet that was started, or why none was. */
  started?: { workflowId: string; problem?: string };
}

/** Reports of thousands must fit into one payload of 2 MB. */
export const LISTED = 5_000;

/** Oldest first; what does not exist comes last. */
export function oldestFirst(secrets: readonly SecretAgeEntry[]): SecretAgeEntry[] {
  const key = ({ since }: SecretAgeEntry) => since ?? '~';
  return [...secrets].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.secret < b.secret ? -1 : 1));
}
