import { groupOf, unknownYet } from '../../rotation/fleet';
import type {
  FleetCounts,
  FleetEntry,
  FleetInput,
  FleetPolicy,
  FleetReport,
  FleetSecret,
  FleetStatus,
} from '../../rotation/fleet';
import type { Attempts } from '../../rotation/fleet-schedule';

/** A rotation under way. */
export interface Running {
  of: FleetSecret;
  startedAt: string;
  /** Absent until the server has it. */
  runId?: string;
}

/** All that a fleet knows; plain JSON, because it outlives the run of the workflow that found it out. */
export interface FleetProgress {
  startedAt: string;
  phase: FleetStatus['phase'];
  policy?: FleetPolicy;
  waiting: FleetSecret[];
  running: Running[];
  settled: FleetEntry[];
  attempts: Attempts;
  /** Why no further one is started. */
  stopped?: string;
}

export function newProgress(startedAt: string): FleetProgress {
  return { startedAt, phase: 'planning', waiting: [], running: [], settled: [], attempts: {} };
}

/** How many failures `status` and the logbook show. */
const FAILURES_SHOWN = 20;

function countsOf({ waiting, running, settled }: FleetProgress): FleetCounts {
  const counts = { succeeded: 0, failed: 0, skipped: 0, notStarted: 0 };
  for (const { outcome } of settled) counts[groupOf(outcome)]++;
  return { total: waiting.length + running.length + settled.length, ...counts };
}

export function statusOf(input: FleetInput, progress: FleetProgress): FleetStatus {
  const { environment, types = ['all'], requestedBy, reason, due, dryRun, emergency } = input;
  const { phase, startedAt, waiting, running, settled, stopped, policy } = progress;
  return {
    environment,
    types,
    due: due === true,
    dryRun: dryRun === true,
    emergency: emergency === true,
    phase,
    startedAt,
    requestedBy,
    reason,
    concurrency: policy?.concurrency,
    ...countsOf(progress),
    waiting: waiting.length,
    running: running.map(({ of, startedAt: since }) => ({ secret: of.secret, type: of.type, startedAt: since })),
    failures: settled.filter(({ outcome }) => groupOf(outcome) === 'failed').slice(-FAILURES_SHOWN),
    stopped,
  };
}

export function reportOf(input: FleetInput, progress: FleetProgress, endedAt: string): FleetReport {
  const { environment, types = ['all'], dryRun, emergency, requestedBy, reason } = input;
  const notes = notesOn(input, progress);
  return {
    environment,
    types,
    dryRun,
    emergency,
    requestedBy,
    reason,
    startedAt: progress.startedAt,
    endedAt,
    ...countsOf(progress),
    stopped: progress.stopped,
    notes: notes.length > 0 ? notes : undefined,
    secrets: [...progress.settled].sort((a, b) => (a.secret < b.secret ? -1 : 1)),
  };
}

function notesOn({ environment, types }: FleetInput, { settled }: FleetProgress): string[] {
  const notes = unknownYet(types).map(
    (type) => `Keyturn does not rotate ${type} yet, so that no secret of ${environment} is of that type.`,
  );
  if (settled.length === 0) {
    const ofType = types && !types.includes('all') ? ` of the types ${types.join(', ')}` : '';
    notes.push(`The catalog declares no secret${ofType} in ${environment}; there was nothing to rotate.`);
  }
  return notes;
}
