import type { ScheduleDescription } from '@temporalio/client';
import { OWNER_MEMO } from '../../rotation/schedule-ids';
import { digestOf, readingOf, timesText } from './reading';
import type { WantedSchedule } from './wanted';

/** Below this name the digest is noted, in the memo of what the schedule starts. */
export const DIGEST_MEMO = 'keyturnDigest';

/** The note of a schedule that the catalog, and no operator, has paused. */
const CATALOG_PAUSE_NOTE = 'The catalog says paused: true';

export interface FieldChange {
  field: string;
  from: string;
  to: string;
}

/** What `keyturn apply` would do with one schedule. Plain JSON. */
export interface PlannedSchedule {
  scheduleId: string;
  environment: string;
  does: 'create' | 'change' | 'delete' | 'nothing' | 'refuse';
  /** When it runs: `every 60 d`, `0 2 * * MON in Europe/Berlin`. */
  runs: string;
  /** What differs from the catalog. */
  changes: FieldChange[];
  /** Somebody has changed it since the last apply, and it is changed back. */
  changedByHand?: true;
  /** It is paused, and stays so or is created so. */
  paused?: { by: 'operator' | 'catalog'; note?: string };
  /** Why it is not touched. */
  refusal?: string;
}

/** Whether a schedule was created by the Keyturn whose workers poll this task queue. */
export function isOwned({ memo }: Pick<ScheduleDescription, 'memo'>, taskQueue: string): boolean {
  return memo?.[OWNER_MEMO] === taskQueue;
}

/** Compares what the catalog wants with what Temporal has. */
export function planSchedule(
  wanted: WantedSchedule,
  existing: ScheduleDescription | undefined,
  taskQueue: string,
): PlannedSchedule {
  const planned = { ...subjectOf(wanted), runs: runsText(wanted), changes: [] };
  if (!existing) {
    return { ...planned, does: 'create', ...(wanted.paused && { paused: { by: 'catalog' } }) };
  }
  if (!isOwned(existing, taskQueue)) return { ...planned, does: 'refuse', refusal: refusalOf(existing) };
  const reading = readingOf(existing);
  const { paused, note } = pausedOf(wanted, existing.state);
  const differing = differences(reading, readingOf(wanted));
  const changes = [
    ...differing,
    ...(paused === existing.state.paused ? [] : [{ field: 'paused', from: yesOrNo(!paused), to: yesOrNo(paused) }]),
  ];
  return {
    ...planned,
    does: changes.length > 0 ? 'change' : 'nothing',
    changes,
    ...(differing.length > 0 && existing.action.memo?.[DIGEST_MEMO] !== digestOf(reading) && { changedByHand: true }),
    ...(paused && { paused: { by: wanted.paused ? 'catalog' : 'operator', ...(note && { note }) } }),
  };
}

/** A schedule of ours that the catalog no longer asks for. */
export function planDeletion(environment: string, existing: ScheduleDescription): PlannedSchedule {
  return { scheduleId: existing.scheduleId, environment, does: 'delete', runs: runsText(existing), changes: [] };
}

/** An operator's pause is kept; one of the catalog's ends when the catalog no longer says so. */
export function pausedOf(
  { paused }: WantedSchedule,
  state: ScheduleDescription['state'],
): { paused: boolean; note?: string } {
  if (paused) return { paused, note: state.paused && state.note ? state.note : CATALOG_PAUSE_NOTE };
  const endsCatalogPause = state.paused && state.note === CATALOG_PAUSE_NOTE;
  return endsCatalogPause ? { paused: false } : { paused: state.paused, ...(state.note && { note: state.note }) };
}

function differences(from: Record<string, string>, to: Record<string, string>): FieldChange[] {
  return Object.entries(to)
    .filter(([field, text]) => from[field] !== text)
    .map(([field, text]) => ({ field, from: from[field] ?? '', to: text }));
}

function refusalOf({ memo, action }: ScheduleDescription): string {
  const owner = memo?.[OWNER_MEMO];
  return typeof owner === 'string'
    ? `belongs to the Keyturn whose workers poll task queue ${owner}; two of them cannot serve one environment`
    : `was not created by Keyturn: it starts ${action.workflowType} on task queue ${action.taskQueue}; delete or rename it if it is not needed`;
}

function subjectOf({ scheduleId, environment }: WantedSchedule): Pick<PlannedSchedule, 'scheduleId' | 'environment'> {
  return { scheduleId, environment };
}

function runsText({ spec }: Pick<WantedSchedule, 'spec'> | ScheduleDescription): string {
  const zone = spec.timezone ?? 'UTC';
  return `${timesText(spec)}${zone === 'UTC' ? '' : ` in ${zone}`}`;
}

function yesOrNo(flag: boolean): string {
  return flag ? 'yes' : 'no';
}
