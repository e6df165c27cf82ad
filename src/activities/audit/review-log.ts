import type { FailingSecret, ReviewCoverage } from '../../rotation/review';

/** Where a review ended. */
export interface ReviewEnd {
  /** The last record of the log that it saw. */
  seq: number;
  at: Date;
}

/** The failures of one secret, by its full name. */
export interface CountedSecret extends Omit<FailingSecret, 'secret'> {
  /** `{environment}/{name}`. */
  secretId: string;
}

export interface CountedFailures {
  until: ReviewEnd;
  rotated: number;
  failures: number;
  /** How many secrets failed. */
  failing: number;
  /** Those with the most failures first. */
  secrets: CountedSecret[];
}

/** What reviews ask of the audit log. The database counts; the records stay there. Every method throws `AuditLogError`. */
export interface ReviewLog {
  /** Where the last recorded review of an environment ended; `undefined` when there was none. */
  lastReview(environment: string, covers: ReviewCoverage): Promise<ReviewEnd | undefined>;
  /**
   * How the rotations of some secrets ended.
   *
   * @param secretIds their full names.
   * @param from after that record; since that time where the log has no such record, or none is given.
   * @param atMost how many secrets are named.
   */
  failures(
    secretIds: readonly string[],
    from: { seq?: number | undefined; at: Date },
    atMost: number,
  ): Promise<CountedFailures>;
}

/** @param query runs a statement; node-postgres hands out a bigint as text. */
export function createReviewLog(query: (sql: string, values: unknown[]) => Promise<unknown[]>): ReviewLog {
  return {
    async lastReview(environment, covers) {
      const [row] = (await query('SELECT until_seq, until FROM keyturn_audit.last_review($1, $2)', [
        environment,
        covers,
      ])) as { until_seq: string; until: Date }[];
      return row && { seq: Number(row.until_seq), at: row.until };
    },

    async failures(secretIds, { seq, at }, atMost) {
      const [row] = (await query('SELECT * FROM keyturn_audit.failures($1, $2, $3, $4)', [
        secretIds,
        seq,
        at,
        atMost,
      ])) as FailuresRow[];
      return {
        until: { seq: Number(row?.until_seq ?? 0), at: row?.until ?? new Date() },
        rotated: Number(row?.rotated ?? 0),
        failures: Number(row?.failures ?? 0),
        failing: Number(row?.failing ?? 0),
        secrets: row?.secrets ?? [],
      };
    },
  };
}

interface FailuresRow {
  until_seq: string;
  until: Date;
  rotated: string;
  failures: string;
  failing: string;
  secrets: CountedSecret[];
}
