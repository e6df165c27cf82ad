import { formatDuration } from '../../rotation/durations';
import { REVIEW_WORKFLOW } from '../../rotation/review';
import type { FailingSecret, ReviewInput, ReviewReport, Some } from '../../rotation/review';
import { askForReport } from '../environment-report';
import { untilInterrupted } from '../interrupt';
import { operatorName } from '../operator';
import { readConfig, withTemporal } from '../session';
import type { Answer, Shell } from '../shell';
import { table } from '../table';
import { readPastTime } from '../times';
import type { Register } from './registration';

interface ReviewOptions {
  since?: Date;
  tell: boolean;
  reason?: string;
}

export const registerReview: Register = (program, run) => {
  program
    .command('review')
    .summary('what to look at in a review of an environment')
    .description(
      'Reports ages, failures since the last review, and what is not as the policy has it: secrets that no schedule rotates, that may ' +
        'become older, whose schedules are paused, or that the catalog does not declare. Tells people, as the schedule does. Changes ' +
        'nothing, and the next review by schedule still begins where the last one by schedule ended.',
    )
    .argument('<environment>', 'such as production')
    .option(
      '--since <time>',
      "an ISO 8601 time, or how long ago, such as '90 days'; the last review when absent",
      (text) => readPastTime(text),
    )
    .option('--no-tell', 'tell nobody')
    .option('--reason <text>', 'why, for the audit trail')
    .action((environment: string, options: ReviewOptions) => run((shell) => review(shell, environment, options)));
};

async function review(shell: Shell, environment: string, { since, tell, reason }: ReviewOptions): Promise<Answer> {
  const config = readConfig(shell.env);
  const input: ReviewInput = {
    environment,
    ...(since && { since: since.toISOString() }),
    tell,
    reason,
    requestedBy: operatorName(shell.env),
  };
  const asking = { workflowType: REVIEW_WORKFLOW, prefix: 'review', input, summary: `A review of ${environment}` };
  const report = await withTemporal(config, (client) =>
    untilInterrupted((signal) => askForReport<ReviewReport>(client, config.taskQueue, asking, signal)),
  );
  return { result: report, text: reportText(report) };
}

const BEGINS = {
  'as-asked': '',
  'at-the-last-review': ', the last review',
  'one-interval-ago': ', one interval ago: there was no review before',
} as const;

function reportText({ environment, since, begins, until, ages, failures, exceptions, told }: ReviewReport): string {
  const { total, overdue, oldest } = ages;
  const now = Date.parse(until);
  const age = (at = until) => formatDuration(Math.max(now - Date.parse(at), 0));
  const { byHand, longerMaxAge, paused, undeclared } = exceptions;
  return [
    `Review of ${environment} since ${since.slice(0, 16)}Z${BEGINS[begins]}.`,
    '',
    `Secrets: ${total}${oldest ? `, the oldest ${oldest.secret} (${age(oldest.since)})` : ''}`,
    ...section('Overdue', overdue, (one) => [one.secret, age(one.since), `may be ${formatDuration(one.limitMs)}`]),
    ...failureLines(failures),
    ...section('Rotated by hand only', byHand, (secret) => [secret]),
    ...section("Older than the environment's maxAge allows, by their own", longerMaxAge, (one) => [
      one.secret,
      formatDuration(one.maxAgeMs),
      `environment ${formatDuration(one.policyMs)}`,
    ]),
    ...section('Paused schedules', paused, ({ scheduleId, by, note }) => [
      scheduleId,
      by === 'catalog' ? 'by the catalog' : 'by an operator',
      note ?? '-',
    ]),
    ...section('Not in the catalog', undeclared, (secret) => [secret]),
    '',
    told ? 'People are told of it.' : 'Nobody is told of it.',
  ].join('\n');
}

function failureLines(failures: ReviewReport['failures']): string[] {
  if ('problem' in failures) return [`Failed rotations: not known: ${failures.problem}`];
  const { rotated, failures: times, secrets } = failures;
  return section(
    'Failed rotations',
    secrets,
    ({ secret, failures: n, last, ...how }) => [
      secret,
      `${n}: ${outcomesText(how)}`,
      `last ${last.at.slice(0, 16)}Z${last.step ? ` at ${last.step}` : ''}${last.cause ? `: ${last.cause}` : ''}`,
    ],
    `${times}, beside ${rotated} that brought a new version`,
  );
}

function outcomesText(
  how: Pick<FailingSecret, 'refused' | 'rolledBack' | 'rollbackIncomplete' | 'retirementIncomplete'>,
) {
  return [
    { n: how.refused, what: 'refused' },
    { n: how.rolledBack, what: 'rolled back' },
    { n: how.rollbackIncomplete, what: 'rollback incomplete' },
    { n: how.retirementIncomplete, what: 'retirement incomplete' },
  ]
    .flatMap(({ n, what }) => (n > 0 ? [`${n} ${what}`] : []))
    .join(', ');
}

/** A heading with how many there are, and a line for each that is named. */
function section<T>(
  heading: string,
  { total, first }: Some<T>,
  rowOf: (item: T) => string[],
  counts?: string,
): string[] {
  if (total === 0) return [`${heading}: ${counts ?? 'none'}`];
  const rows = table(first.map((item) => ['', ...rowOf(item)])).split('\n');
  const more = total - first.length;
  return [`${heading}: ${counts ?? total}`, ...rows, ...(more > 0 ? [`  and ${more} more`] : [])];
}
