import { noCounts } from './counter';
import type { Counts } from './counter';
import type { MetricState } from './metric';

/** What one run of the workflow hands on to the next. Plain JSON; times are milliseconds since the epoch. */
export interface UsageState {
  counts: Counts;
  limit?: number;
  version?: string;
  /** Absent until the first look. */
  lookedAt?: number;
  rotation?: RotationUnderWay;
  rotations: number;
  /** Rotations in a row that brought no new version. */
  failures: number;
  problem?: { message: string; retryAt: number };
  metric?: MetricState;
  /** Somebody says that the catalog names a metric. */
  lookAsked?: true;
}

export interface RotationUnderWay {
  workflowId: string;
  runId: string;
  startedAt: number;
  uses: number;
  looks: number;
  /** AWSCURRENT when it was started. */
  from?: string;
}

export const newUsage = (): UsageState => ({ counts: noCounts(), rotations: 0, failures: 0 });
