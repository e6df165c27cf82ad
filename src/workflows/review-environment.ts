import { ActivityFailure, isCancellation, log, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { SecretAgeEntry } from '../rotation/ages';
import { REVIEW_FAILED } from '../rotation/errors';
import { secretIdOf } from '../rotation/names';
import { EVENT_SEVERITY } from '../rotation/notifications';
import { someOf } from '../rotation/review';
import type { ReviewInput, ReviewReport } from '../rotation/review';
import { lookAtAll } from './ages/look-at-all';
import { admitReview } from './review/admission';
import type { AdmittedReview } from './review/admission';
import { reviewText } from './review/telling';
import { activitiesFor } from './saga/activities';
import { causeOf, environmentFailed } from './saga/failures';
import { concernsOthers, tellOfFailedLook } from './saga/refusals';
import { tellAndWait, tellPeople } from './saga/telling';
import { isInForce, noteChanges } from './changes';

/** How long the catalog, Temporal and the audit log are asked. */
const ASK_MS = 5 * 60_000;

/**
 * Reports on the secrets of an environment since the last review, and reminds people that one is due: ages, failures, and what is not as
 * the policy has it. Changes nothing.
 *
 * Where the next review of the same secrets begins is noted in the audit log once people are told. So one that was missed, that failed, or
 * that nobody could be told of, because every channel refused it or was down for an hour, is made up for by the next, and none counts what
 * another one has. One that moves nothing on does not wait for that.
 */
export async function reviewEnvironment(input: ReviewInput): Promise<ReviewReport> {
  noteChanges();
  try {
    const { environment, covers, asked, tell } = admitReview(input);
    const { requestedBy, reason } = input;
    const ask = asking(input);
    const { exceptions, intervalMs } = await ask(
      'listExceptions',
      `what is not as the policy of ${environment} has it`,
    ).write.listExceptions({ environment, covers });
    const secrets = await lookAtAll(input, { covers }, showAuditDown);
    const counted = await countFailures(input, { environment, covers, asked, tell }, intervalMs);

    const { untilSeq, ...rest } = counted;
    const existing = secrets.filter(({ since }) => since !== undefined);
    const [oldest] = existing;
    const report: ReviewReport = {
      environment,
      covers,
      ...rest,
      ages: {
        total: secrets.length,
        overdue: someOf(secrets.filter(({ overdue }) => overdue)),
        ...(oldest && { oldest }),
      },
      exceptions: { ...exceptions, undeclared: someOf(secrets.filter(isUndeclared).map(({ secret }) => secret)) },
      told: false,
    };
    const isRecorded = covers !== 'all' && asked === undefined && untilSeq !== undefined;
    if (tell && secrets.length > 0) {
      const isWaitedFor = isRecorded && isInForce('a-review-waits-until-somebody-has-heard');
      const problem = await (isWaitedFor ? tellAndWait : tellPeople)({
        environment,
        event: 'review-due',
        severity: EVENT_SEVERITY['review-due'],
        message: reviewText(report),
        next: `keyturn review ${environment} --since ${report.since} --no-tell`,
        requestedBy,
        reason,
      });
      if (problem !== undefined) log.error(`People could not be told of the review: ${problem}`, { environment });
      report.told = problem === undefined;
    }
    const owed = tell && secrets.length > 0 && !report.told && isInForce('a-review-that-nobody-heard-of-is-owed');
    if (!owed && isRecorded) {
      await ask('recordReview', 'note where the next review begins').write.recordReview({
        environment,
        covers,
        until: report.until,
        untilSeq,
      });
    }
    return report;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const cause = causeOf(error);
    if (concernsOthers(cause) && input.tell !== false) {
      const { environment, covers = 'all' } = input;
      await tellOfFailedLook(input, cause, {
        what: `review/${covers}`,
        consequence: `A review of ${environment} is due and could not be made; the next one makes up for it`,
        next: `keyturn review ${environment}`,
      });
    }
    throw environmentFailed(REVIEW_FAILED, 'review', cause);
  }
}

const isUndeclared = ({ type }: SecretAgeEntry) => type === undefined;

function asking({ environment, requestedBy, reason }: ReviewInput) {
  return (step: string, summary: string) =>
    activitiesFor({
      subject: { secretId: secretIdOf(environment, '*'), requestedBy, reason },
      step,
      summary,
      limitMs: ASK_MS,
      onAuditDown: showAuditDown,
    });
}

function showAuditDown(down: boolean): void {
  setCurrentDetails(down ? 'Waits for the audit log, which cannot be written.' : '');
}

type Counted = Pick<ReviewReport, 'since' | 'begins' | 'until' | 'failures'> & { untilSeq?: number };

/** The rest of a review is worth having where the failures cannot be counted. */
async function countFailures(
  input: ReviewInput,
  { environment, covers, asked }: AdmittedReview,
  intervalMs: number,
): Promise<Counted> {
  const now = workflowInfo().startTime.getTime();
  const since = new Date(asked ?? now - intervalMs).toISOString();
  try {
    const counted = await asking(input)(
      'countFailures',
      'count the failures since the last review',
    ).write.countFailures({ environment, covers, since, asked: asked !== undefined });
    return {
      since: counted.since,
      begins: asked !== undefined ? 'as-asked' : counted.atTheLastReview ? 'at-the-last-review' : 'one-interval-ago',
      until: counted.until,
      failures: counted.found,
      untilSeq: counted.untilSeq,
    };
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return {
      since,
      begins: asked !== undefined ? 'as-asked' : 'one-interval-ago',
      until: new Date(now).toISOString(),
      failures: { problem: causeOf(error).message },
    };
  }
}
