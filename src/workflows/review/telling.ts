import { formatDuration } from '../../rotation/durations';
import type { ReviewReport } from '../../rotation/review';
import { named, namedOverdue } from '../ages/naming';

/** What people are told of a review: how many of each kind, and the first few. */
export function reviewText(report: ReviewReport): string {
  const { environment, since, ages, failures } = report;
  const { total, overdue, oldest } = ages;
  const oldestIs = oldest
    ? `, the oldest ${oldest.secret} (${formatDuration(Math.max(Date.now() - Date.parse(oldest.since ?? ''), 0))})`
    : '';
  const parts = [
    `${count(total, 'secret')}${oldestIs}`,
    `overdue: ${overdue.total === 0 ? 'none' : `${overdue.total}: ${namedOverdue(overdue.first, overdue.total)}`}`,
    'problem' in failures ? `failures: not known: ${failures.problem}` : failuresText(failures),
    ...exceptionTexts(report),
  ];
  return `A review of ${environment} is due: is each secret still needed, and its owner still right? Since ${since.slice(0, 10)}: ${parts.join('; ')}.`;
}

function failuresText({ failures, secrets }: Extract<ReviewReport['failures'], { failures: number }>): string {
  if (failures === 0) return 'failed rotations: none';
  const names = named(secrets.first, secrets.total, ({ secret, failures: times, last }) => {
    const why = [last.outcome, ...(last.cause ? [last.cause] : [])].join(', ');
    return `${secret} (${times === 1 ? '' : `${times} times, `}last ${why})`;
  });
  return `failed rotations: ${failures}: ${names}`;
}

function exceptionTexts({ exceptions: { byHand, longerMaxAge, paused, undeclared } }: ReviewReport): string[] {
  return [
    { what: 'rotated by hand only', some: byHand, names: named(byHand.first, byHand.total, String) },
    {
      what: 'older than the policy allows by their own maxAge',
      some: longerMaxAge,
      names: named(
        longerMaxAge.first,
        longerMaxAge.total,
        ({ secret, maxAgeMs }) => `${secret} (${formatDuration(maxAgeMs)})`,
      ),
    },
    {
      what: 'schedules paused',
      some: paused,
      names: named(
        paused.first,
        paused.total,
        ({ scheduleId, by }) => `${scheduleId} (${by === 'catalog' ? 'by the catalog' : 'by an operator'})`,
      ),
    },
    { what: 'not in the catalog', some: undeclared, names: named(undeclared.first, undeclared.total, String) },
  ].flatMap(({ what, some, names }) => (some.total === 0 ? [] : [`${what}: ${some.total}: ${names}`]));
}

function count(total: number, noun: string): string {
  return total === 1 ? `1 ${noun}` : `${total} ${noun}s`;
}
