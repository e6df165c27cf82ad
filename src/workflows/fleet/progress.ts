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
import { bytesOf, fitted, ROOM_BYTES } from '../../rotation/fleet-room';
import type { Attempts } from '../../rotation/fleet-schedule';

/** A rotation under way. */
export interface Running {
  of: FleetSecret;
  startedAt: string;
  /** Absent until the server has it. */
  runId?: string;
}

/** What an emergency found in the way of a secret's rotation. Times are milliseconds since the epoch. */
export interface Obstruction {
  /** When it was met first. */
  since: number;
  /** What ran, since when. */
  what: string;
  /** It was in its grace period when it was met, and changes nothing that others use; absent where that is not known. */
  inGracePeriod?: boolean;
  /** When it is looked at next, and how long after that again. */
  lookAt: number;
  pauseMs: number;
}

/** All that a fleet knows; plain JSON, because it outlives the run of the workflow that found it out. */
export interface FleetProgress {
  startedAt: string;
  phase: FleetStatus['phase'];
  policy?: FleetPolicy;
  waiting: FleetSecret[];
  running: Running[];
  /** Those that wait for the end of a rotation that was there before. */
  inTheWay: FleetSecret[];
  /** What was found in the way, by the secrets' names; kept when it is gone. */
  obstructions: Record<string, Obstruction>;
  settled: FleetEntry[];
  attempts: Attempts;
  /** Why no further one is started. */
  stopped?: string;
}

export function newProgress(startedAt: string): FleetProgress {
  return {
    startedAt,
    phase: 'planning',
    waiting: [],
    running: [],
    inTheWay: [],
    obstructions: {},
    settled: [],
    attempts: {},
  };
}

/** How many failures, and how many that wait for others, `status` and the logbook show. */
const SHOWN = 20;

function countsOf({ waiting, running, inTheWay, settled }: FleetProgress): FleetCounts {
  const counts = { succeeded: 0, failed: 0, skipped: 0, notStarted: 0 };
  for (const { outcome } of settled) counts[groupOf(outcome)]++;
  return { total: waiting.length + running.length + inTheWay.length + settled.length, ...counts };
}

export function statusOf(input: FleetInput, progress: FleetProgress): FleetStatus {
  const { environment, types = ['all'], requestedBy, reason, due, dryRun, emergency } = input;
  const { phase, startedAt, waiting, running, inTheWay, settled, stopped, policy } = progress;
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
    ...(inTheWay.length > 0 && { inTheWay: inTheWay.length, waitsFor: waitsFor(progress) }),
    failures: settled.filter(({ outcome }) => groupOf(outcome) === 'failed').slice(-SHOWN),
    stopped,
  };
}

function waitsFor({ inTheWay, obstructions }: FleetProgress): FleetStatus['waitsFor'] {
  return inTheWay.slice(0, SHOWN).map(({ secret }) => {
    const { since = 0, what = '' } = obstructions[secret] ?? {};
    return { secret, since: new Date(since).toISOString(), what };
  });
}

/** What a further run of the workflow is given: nothing of what is settled but its outcome, and no more than one payload holds. */
export function handedOn(progress: FleetProgress): FleetProgress {
  const { waiting, running, inTheWay, settled } = progress;
  const open = new Set([...waiting, ...running.map(({ of }) => of), ...inTheWay].map(({ secret }) => secret));
  const obstructions = Object.fromEntries(Object.entries(progress.obstructions).filter(([secret]) => open.has(secret)));
  const rest = { ...progress, obstructions, settled: [] };
  return { ...rest, settled: fitted(settled, ROOM_BYTES - bytesOf(rest)) };
}

/** Whether there are so few secrets that all can be handed on. */
export function hasRoom(progress: FleetProgress): boolean {
  return bytesOf(handedOn(progress)) <= ROOM_BYTES;
}

const SHORTENED =
  'The report has no room for more than this of so many secrets; keyturn status and keyturn audit list say more of each.';

export function reportOf(input: FleetInput, progress: FleetProgress, endedAt: string): FleetReport {
  const { environment, types = ['all'], dryRun, emergency, requestedBy, reason } = input;
  const notes = notesOn(input, progress);
  const report: FleetReport = {
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
  const without = { ...report, notes: [...notes, SHORTENED], secrets: [] };
  const secrets = fitted(report.secrets, ROOM_BYTES - bytesOf(without));
  return secrets.every((entry, n) => entry === report.secrets[n]) ? report : { ...without, secrets };
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
