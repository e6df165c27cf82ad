import type { EnvironmentPolicy } from '../../catalog';
import { cronTextOf } from '../../catalog';
import { formatDuration } from '../../rotation/durations';
import { table } from '../table';
import type { PlannedSchedule } from './plan';
import type { AppliedSchedule } from './schedule-client';

/** The policy of an environment as `keyturn plan` shows it; plain JSON, times in milliseconds. */
export interface PolicyInForce {
  environment: string;
  /** Absent where each secret's type says it. */
  maxAgeMs?: number;
  rotateEveryMs?: number;
  review: string;
  /** A cron expression, or `never`. */
  weeklyRun: string;
  timeZone: string;
  jitterMs: number;
  catchUpWindowMs: number;
}

export function policyInForce({
  environment,
  maxAgeMs,
  rotateEveryMs,
  review,
  schedules,
}: EnvironmentPolicy): PolicyInForce {
  const { weeklyRun, timeZone, jitterMs, catchUpWindowMs } = schedules;
  return {
    environment,
    ...(maxAgeMs !== undefined && { maxAgeMs }),
    ...(rotateEveryMs !== undefined && { rotateEveryMs }),
    review,
    weeklyRun: weeklyRun ? cronTextOf(weeklyRun) : 'never',
    timeZone,
    jitterMs,
    catchUpWindowMs,
  };
}

export function policyText(policies: readonly PolicyInForce[]): string {
  return table([
    ['ENVIRONMENT', 'MAX AGE', 'ROTATED EVERY', 'REVIEW', 'WEEKLY RUN', 'TIME ZONE', 'JITTER', 'CATCH-UP'],
    ...policies.map((policy) => [
      policy.environment,
      periodText(policy.maxAgeMs),
      periodText(policy.rotateEveryMs),
      policy.review,
      policy.weeklyRun,
      policy.timeZone,
      policy.jitterMs === 0 ? 'none' : formatDuration(policy.jitterMs),
      formatDuration(policy.catchUpWindowMs),
    ]),
  ]);
}

function periodText(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'by type' : formatDuration(milliseconds);
}

const MARKS = { create: '+', change: '~', delete: '-', nothing: '=', refuse: '!' } as const;

/** One paragraph for each schedule that is not simply as it should be. */
export function schedulesText(schedules: readonly AppliedSchedule[]): string[] {
  return schedules
    .filter(({ does, paused }) => does !== 'nothing' || paused)
    .flatMap(({ scheduleId, does, runs, changes, changedByHand, paused, refusal, failure }) => [
      `${MARKS[does]} ${does === 'nothing' ? 'keep' : does} ${scheduleId}  ${runs}${paused ? `  (${pauseText(paused)})` : ''}`,
      ...(changedByHand ? ['    somebody changed it by hand since the last apply; it is changed back'] : []),
      ...changes.map(({ field, from, to }) => `    ${field}: ${from} → ${to}`),
      ...(refusal ? [`    ${refusal}`] : []),
      ...(failure ? [`    failed: ${failure}`] : []),
    ]);
}

function pauseText({ by, note }: NonNullable<PlannedSchedule['paused']>): string {
  if (by === 'catalog') return 'paused by the catalog';
  return `stays paused by an operator${note ? `: ${note}` : ''}`;
}

/** How many of each, such as `2 to create, 1 to delete`. */
export function countsText(
  schedules: readonly PlannedSchedule[],
  words: Record<PlannedSchedule['does'], string>,
): string {
  const counts = (['create', 'change', 'delete', 'refuse', 'nothing'] as const).flatMap((does) => {
    const count = schedules.filter((schedule) => schedule.does === does).length;
    return count > 0 ? [`${count} ${words[does]}`] : [];
  });
  return counts.length > 0 ? `${counts.join(', ')}.` : 'The catalog asks for no schedule, and there is none.';
}
