import { secretIdOf } from './names';

/** The workflow type that counts the uses of one secret. */
export const USAGE_WORKFLOW = 'monitorUsage';

/** The signal by which applications report uses. */
export const USAGE_SIGNAL = 'reportUsage';

/** The one workflow ID under which the uses of a secret are counted. */
export function usageWorkflowId(environment: string, secret: string): string {
  return `usage/${secretIdOf(environment, secret)}`;
}

/** The first argument of `monitorUsage`. */
export interface MonitorUsageInput {
  environment: string;
  secret: string;
}

/** What applications report: so many uses since their report before. */
export interface UsageReport {
  /** Names this report. Whoever does not know whether it arrived sends it again under the same name, and it counts once. */
  batch: string;
  count: number;
}

/** How many of the latest batches are remembered; one that is sent again after so many others counts again. */
export const REMEMBERED_BATCHES = 5_000;
/** The most uses that one report may have: more is taken for a mistake of the one who counts. */
const MOST_USES = 1_000_000_000;
const LONGEST_BATCH = 64;

/** What is wrong with a report; `undefined` when nothing is. What JSON cannot say (NaN, Infinity) arrives as null. */
export function usageProblem(report: unknown): string | undefined {
  const { batch, count } = (typeof report === 'object' && report !== null ? report : {}) as Partial<UsageReport>;
  if (typeof batch !== 'string' || batch.length === 0 || batch.length > LONGEST_BATCH) {
    return `batch is not a text of 1 to ${LONGEST_BATCH} characters`;
  }
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > MOST_USES) {
    return `count is not a whole number from 1 to ${MOST_USES}`;
  }
  return undefined;
}

/** The answer to the query `status`. Times are ISO 8601. */
export interface UsageStatus {
  environment: string;
  secret: string;
  /** Uses of the version in use, and those reported since a rotation under way was started. */
  uses: number;
  /** The catalog's `rotateAfterUses`; absent when it says none. */
  limit?: number;
  /** VersionId of AWSCURRENT when it was last looked at. */
  version?: string;
  /** Uses of all versions. */
  total: number;
  /** Reports that counted, that were known already, and that made no sense. */
  reports: { counted: number; repeated: number; refused: number };
  lastRefusal?: string;
  /** How many rotations were started. */
  rotations: number;
  /** The one under way. */
  rotation?: { workflowId: string; startedAt: string; uses: number };
  /** Why the last one brought no new version, or could not be started, and when it is tried again. */
  problem?: { message: string; retryAt: string };
  /** What counts uses beside reports; absent when the catalog names no metric. */
  metric?: {
    /** Its namespace, name and dimensions. */
    name: string;
    /** Uses of all versions that it told. */
    total: number;
    /** The end of the last period that was counted. */
    countedUntil?: string;
    /** The last periods that were too old when they could be read, and are not counted. */
    lost?: { from: string; until: string };
    /** Why it could not be read, and when it is tried again. */
    problem?: { message: string; retryAt: string };
  };
}
