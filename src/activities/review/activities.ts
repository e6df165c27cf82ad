import type { ScheduleClient } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { Cause } from '../../rotation/errors';
import { NAMED_IN_REPORT, REVIEW_INTERVAL_MS, someOf } from '../../rotation/review';
import type {
  FailingSecret,
  FailuresFound,
  PausedSchedule,
  ReviewCoverage,
  ReviewExceptions,
  ReviewInterval,
} from '../../rotation/review';
import { environmentOf, OWNER_MEMO, rotationScheduleId, SCHEDULE_ID_PREFIX } from '../../rotation/schedule-ids';
import { AuditLogError } from '../audit/audit-log';
import type { CountedSecret, ReviewLog } from '../audit/review-log';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';
import type { StepInput } from '../step-input';
import { reviewedSecrets } from './catalog';
import type { ReviewCatalog, Reviewed } from './catalog';

export interface ListExceptionsInput extends StepInput {
  environment: string;
  covers: ReviewCoverage;
}

export interface CountFailuresInput extends ListExceptionsInput {
  /** Where to begin when there was no review before, or when `asked` says that somebody wants it; ISO 8601. */
  since: string;
  asked: boolean;
}

export interface CountedSince {
  since: string;
  /** Whether that is where the last review ended. */
  atTheLastReview: boolean;
  until: string;
  /** The last record of the audit log that was looked at. */
  untilSeq: number;
  found: FailuresFound;
}

/** Where the next review of the same secrets begins. The audit record of this activity is what says so. */
export interface RecordReviewInput extends ListExceptionsInput {
  until: string;
  untilSeq: number;
}

export interface ReviewDependencies {
  catalog: { load(): Promise<ReviewCatalog> };
  reviewLog: ReviewLog;
  schedules: Pick<ScheduleClient, 'list'>;
}

/** Schedules of other programs are not even read: their memos may be in an encoding that is unknown here. */
const PAUSED = `ScheduleId STARTS_WITH "${SCHEDULE_ID_PREFIX}" AND TemporalSchedulePaused = true`;
const LONGEST_NOTE = 200;

export function createReviewActivities({ catalog, reviewLog, schedules }: ReviewDependencies) {
  /** The schedules of an environment that somebody has paused in Temporal, by their IDs. */
  async function pausedInTemporal(environment: string): Promise<Map<string, string | undefined>> {
    const { taskQueue } = Context.current().info;
    return outsideCall('temporal', 'ListSchedules', async () => {
      const paused = new Map<string, string | undefined>();
      for await (const { scheduleId, memo, state } of schedules.list({ query: PAUSED })) {
        if (environmentOf(scheduleId) !== environment || memo?.[OWNER_MEMO] !== taskQueue) continue;
        paused.set(scheduleId, state.note?.slice(0, LONGEST_NOTE));
      }
      return paused;
    });
  }

  async function askLog<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await outsideCall('audit', 'CountFailures', ask);
    } catch (error) {
      if (!(error instanceof AuditLogError)) throw error;
      if (!error.isNotSetUp) throw failure(Cause.TargetUnavailable, error.message);
      throw failure(
        Cause.PermissionDenied,
        `${error.message}. Run deploy/postgres/audit.sql in it again, which lets workers count failures`,
      );
    }
  }

  return {
    /** What is not as the environment's policy has it, by the catalog and by Temporal. Changes nothing. */
    async listExceptions({
      environment,
      covers,
    }: ListExceptionsInput): Promise<{ exceptions: ReviewExceptions; intervalMs: number }> {
      const reviewed = await reviewedSecrets(catalog, environment, covers);
      const { secrets, policy } = reviewed;
      const paused = pausedSchedules(reviewed, await pausedInTemporal(environment));
      const { maxAgeMs: policyMs = Infinity } = policy;
      return {
        intervalMs: REVIEW_INTERVAL_MS[intervalOf(covers, reviewed)],
        exceptions: {
          byHand: someOf(secrets.filter(({ schedule }) => !schedule).map(({ secret }) => secret)),
          longerMaxAge: someOf(
            secrets
              .filter(({ maxAgeMs }) => maxAgeMs > policyMs)
              .map(({ secret, maxAgeMs }) => ({ secret, maxAgeMs, policyMs })),
          ),
          paused: someOf(paused),
        },
      };
    },

    /** How rotations failed since the last review, or since another time. The audit log's database counts. */
    async countFailures({ environment, covers, since, asked }: CountFailuresInput): Promise<CountedSince> {
      const { secrets } = await reviewedSecrets(catalog, environment, covers);
      // Who asks for all at once wants to see what has come since the scheduled one.
      const last = asked
        ? undefined
        : await askLog(() => reviewLog.lastReview(environment, covers === 'all' ? 'inherited' : covers));
      const from = { seq: last?.seq, at: last?.at ?? new Date(since) };
      const counted = await askLog(() =>
        reviewLog.failures(
          secrets.map(({ secretId }) => secretId),
          from,
          NAMED_IN_REPORT,
        ),
      );
      return {
        since: from.at.toISOString(),
        atTheLastReview: last !== undefined,
        until: counted.until.at.toISOString(),
        untilSeq: counted.until.seq,
        found: {
          rotated: counted.rotated,
          failures: counted.failures,
          secrets: { total: counted.failing, first: counted.secrets.map((one) => failingSecret(environment, one)) },
        },
      };
    },

    async recordReview(_input: RecordReviewInput): Promise<void> {},
  };
}

/** A pause of the catalog is one also where nobody has applied it yet. */
function pausedSchedules(
  { secrets, others, undeclaredToo }: Reviewed,
  inTemporal: ReadonlyMap<string, string | undefined>,
): PausedSchedule[] {
  const byCatalog = secrets
    .filter(({ schedule }) => schedule?.paused)
    .map(({ secretId }): PausedSchedule => ({ scheduleId: rotationScheduleId(secretId), by: 'catalog' }));
  const known = new Set(byCatalog.map(({ scheduleId }) => scheduleId));
  const own = new Set(secrets.map(({ secretId }) => rotationScheduleId(secretId)));
  const ofOthers = new Set(others.map(({ secretId }) => rotationScheduleId(secretId)));
  const byOperators = [...inTemporal]
    .filter(([id]) => !known.has(id) && (own.has(id) || (undeclaredToo && !ofOthers.has(id))))
    .map(([scheduleId, note]): PausedSchedule => ({ scheduleId, by: 'operator', ...(note && { note }) }))
    .sort((a, b) => (a.scheduleId < b.scheduleId ? -1 : 1));
  return [...byCatalog, ...byOperators];
}

function intervalOf(covers: ReviewCoverage, { policy: { review } }: Reviewed): ReviewInterval {
  if (covers !== 'all' && covers !== 'inherited') return covers;
  return review === 'off' ? 'monthly' : review;
}

function failingSecret(environment: string, { secretId, last, ...counts }: CountedSecret): FailingSecret {
  const { at, outcome, step, cause } = last;
  return {
    secret: secretId.slice(environment.length + 1),
    ...counts,
    last: { at, outcome, ...(step && { step }), ...(cause && { cause }) },
  };
}
