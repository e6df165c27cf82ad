import { workflowInfo } from '@temporalio/workflow';
import { parseDuration } from '../../rotation/durations';
import { Cause } from '../../rotation/errors';
import { REVIEW_COVERAGES } from '../../rotation/review';
import type { ReviewCoverage, ReviewInput } from '../../rotation/review';
import { checkEnvironmentInput } from '../saga/environment-input';
import { refuse } from '../saga/failures';

export interface AdmittedReview {
  environment: string;
  covers: ReviewCoverage;
  /** Where somebody wants it to begin, in milliseconds since the epoch. */
  asked?: number;
  tell: boolean;
}

/** Date.parse alone would take '5' for a month. */
const ISO_DATE = /^\d{4}-\d\d-\d\d/;

/** @throws BadInput */
export function admitReview(input: ReviewInput): AdmittedReview {
  const texts = ['environment', 'covers', 'since', 'reason', 'requestedBy'];
  checkEnvironmentInput(input, texts, { others: ['tell'] });
  const { environment, covers = 'all', since, tell = true } = input;
  const bad = (why: string) => refuse(Cause.BadInput, `the input's field ${why}; nothing was started.`);
  if (typeof tell !== 'boolean') throw bad('tell is not true or false');
  if (!REVIEW_COVERAGES.includes(covers)) throw bad(`covers is none of ${REVIEW_COVERAGES.join(', ')}`);
  if (since === undefined) return { environment, covers, tell };
  const now = workflowInfo().startTime.getTime();
  const ago = parseDuration(since);
  const asked = ago === undefined ? (ISO_DATE.test(since) ? Date.parse(since) : NaN) : now - ago;
  if (!(asked < now) || asked < 0) {
    throw bad("since is neither a duration such as '90 days' nor an ISO 8601 time that is past");
  }
  return { environment, covers, asked, tell };
}
