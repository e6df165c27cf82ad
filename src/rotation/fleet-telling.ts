import { groupOf } from './fleet';
import type { FleetEntry, FleetReport } from './fleet';
import type { NotifyPeopleInput } from './notifications';

/** How many failed secrets a notification names; the report has them all. */
const MOST_NAMED = 10;
const LONGEST_CAUSE = 160;

/**
 * What people are told of a fleet's end, by name at most so many of its failures. Nothing when no secret was to be rotated, and of a
 * dry run, which is nobody's business but its requester's.
 */
export function fleetNotification(report: FleetReport): NotifyPeopleInput | undefined {
  const { environment, dryRun, emergency, total, succeeded, failed, skipped, notStarted, stopped } = report;
  const { requestedBy, reason } = report;
  if (dryRun || succeeded + failed + notStarted === 0) return undefined;
  const counts = `${total} ${total === 1 ? 'secret' : 'secrets'}, ${succeeded} succeeded, ${failed} failed, ${skipped} skipped`;
  const rest = notStarted === 0 ? '' : `, ${notStarted} not started`;
  return {
    environment,
    event: 'fleet-report',
    severity: failed + notStarted > 0 ? 'warning' : 'info',
    message: [
      `The ${emergency ? 'emergency ' : ''}fleet of ${environment} has ended: ${counts}${rest}.`,
      ...(stopped === undefined ? [] : [`It started no more: ${stopped}.`]),
      ...failuresOf(report.secrets),
    ].join(' '),
    requestedBy,
    reason,
  };
}

function failuresOf(entries: readonly FleetEntry[]): string[] {
  const failed = entries.filter(({ outcome }) => groupOf(outcome) === 'failed');
  if (failed.length === 0) return [];
  const named = failed.slice(0, MOST_NAMED).map(({ secret, outcome, cause }) => {
    const why = cause && `: ${cause.type}, ${cut(cause.message)}`;
    return `${secret} (${outcome}${why ?? ''})`;
  });
  const more = failed.length - named.length;
  return [`Failed: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}.`];
}

function cut(text: string): string {
  return text.length > LONGEST_CAUSE ? `${text.slice(0, LONGEST_CAUSE - 1)}…` : text;
}
