import { Cause } from '../rotation/errors';
import type { FleetReport, FleetStatus } from '../rotation/fleet';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';

/** Which of the two fleets that an environment may have. */
export interface FleetName {
  environment: string;
  /** The one of an emergency. */
  emergency?: boolean;
}

/** What to type to have it start no more. */
export function abortCommand({ environment, emergency }: FleetName): string {
  return `keyturn abort ${environment} --all${emergency ? ' --emergency' : ''} --reason '...'`;
}

/**
 * Thrown on a start while the environment is being rotated in another way; the one that runs is left alone.
 *
 * @param fleet the one that runs. An ordinary one keeps no emergency from starting.
 * @param asked for what was asked for.
 */
export class FleetRunsAlready extends OperatorError {
  constructor(fleet: FleetName, running: FleetStatus | undefined, asked: FleetName) {
    const { environment } = fleet;
    const what = running ? foundText(running) : `${environment} is being rotated.`;
    const goesOn = running?.stopped === undefined;
    const isAnother = asked.emergency && running !== undefined && goesOn;
    const goesFirst = fleet.emergency && !asked.emergency && goesOn;
    super(
      'AlreadyRunning',
      [
        what,
        'That is not what you asked for, and nothing was started.',
        ...(isAnother ? [ANOTHER_EMERGENCY] : []),
        ...(goesFirst ? ['An emergency goes first: type the same again when it has ended.'] : []),
        ...(running?.stopped === undefined ? [] : [windingDown(running, running.stopped)]),
        `Follow it: keyturn status ${environment} --follow`,
        // To stop an emergency would leave what leaked as it is.
        ...(goesOn && !fleet.emergency ? [`Stop it:   ${abortCommand(fleet)}`] : []),
      ].join('\n'),
      ExitCode.Refused,
      running,
    );
  }
}

const ANOTHER_EMERGENCY =
  'It is an emergency of another reason or scope, and what it has rotated already may have leaked since: type the same again when it has ended.';

function windingDown({ running }: FleetStatus, stopped: string): string {
  const left = running.length === 1 ? 'the rotation that runs has' : `the ${running.length} rotations that run have`;
  const when = running.length === 0 ? 'in a moment' : `when ${left} ended`;
  return `It starts no more already (${stopped}), and ends ${when}; type the same again then.`;
}

/** Thrown when the operator stopped waiting; neither the fleet nor its rotations are affected. */
export class FleetDetached extends OperatorError {
  constructor({ workflowId, runId, ...fleet }: FleetName & { workflowId: string; runId: string }) {
    const { environment } = fleet;
    super(
      'Detached',
      [
        `Stopped waiting. ${environment} goes on being rotated.`,
        `Follow it: keyturn status ${environment} --follow`,
        `Stop it:   ${abortCommand(fleet)}`,
      ].join('\n'),
      ExitCode.Detached,
      { workflowId, runId },
    );
  }
}

/**
 * Thrown when there is no fleet to stop, or to follow.
 *
 * @param other the one that runs in place of the one that was meant.
 */
export class FleetNotRunning extends OperatorError {
  constructor(fleet: FleetName, other?: FleetName) {
    super('NotRunning', other ? insteadOf(other) : nothingRuns(fleet), ExitCode.Refused);
  }
}

function nothingRuns({ environment, emergency }: FleetName): string {
  const what = emergency
    ? `No emergency of ${environment} is running`
    : `${environment} is not being rotated as a whole`;
  return `${what}. Nothing was changed.\nSee what runs: keyturn status`;
}

function insteadOf(other: FleetName): string {
  const { environment, emergency } = other;
  const what = emergency
    ? `No ordinary rotation of all of ${environment} is running, but an emergency is`
    : `No emergency of ${environment} is running, but an ordinary rotation of all of it is`;
  return `${what}. Nothing was changed.\nStop that one: ${abortCommand(other)}`;
}

/** Causes that the operator's own input brought about. */
const USAGE: ReadonlySet<string> = new Set([Cause.BadInput, Cause.CatalogInvalid, Cause.UnknownSecret]);

/** Thrown when a fleet did not come to its report. */
export class FleetRefused extends OperatorError {
  constructor(type: string, message: string, details?: unknown) {
    const cause = (details as { cause?: { type?: string } } | undefined)?.cause?.type ?? '';
    const refused = type === 'RotationRefused';
    super(type, message, USAGE.has(cause) ? ExitCode.Usage : refused ? ExitCode.Refused : ExitCode.Failed, details);
  }
}

/** What the exit code of a report is. */
export function reportProblem(report: FleetReport): OperatorError | undefined {
  const { environment, total, succeeded, failed, skipped, notStarted, stopped, secrets } = report;
  const running = secrets.filter(({ outcome }) => outcome === 'already-running').length;
  if (failed === 0 && notStarted === 0 && running === 0) return undefined;
  const message = [
    `${succeeded} of ${total} secrets of ${environment} are done, ${failed} failed, ${skipped} were skipped, ${notStarted} were not started.`,
    ...(stopped === undefined ? [] : [`It stopped early: ${stopped}.`]),
    `Look at one: keyturn status ${environment}/<name>`,
  ].join('\n');
  const exitCode = failed > 0 || notStarted > 0 ? ExitCode.Failed : ExitCode.Refused;
  return new OperatorError('FleetIncomplete', message, exitCode, report);
}

/** `database, api-keys, what is due, dry run`. */
export function scopeText({ types, due, dryRun, emergency }: FleetStatus): string {
  return [
    types.join(', '),
    ...(due ? ['what is due'] : []),
    ...(dryRun ? ['dry run'] : []),
    ...(emergency ? ['emergency'] : []),
  ].join(', ');
}

/** What was found to run already, since when, by whom, and how far it is: one sentence. */
export function foundText(found: FleetStatus): string {
  const by = found.requestedBy ? `, started by ${found.requestedBy}` : '';
  return `${found.environment} is being rotated (${scopeText(found)}) since ${found.startedAt}${by}: ${progressText(found)}.`;
}

/** `120 of 200 done, 3 failed, 10 running`. */
export function progressText({
  total,
  succeeded,
  failed,
  skipped,
  notStarted,
  running,
  inTheWay,
  phase,
}: FleetStatus): string {
  if (phase === 'planning') return 'looking at its secrets';
  const settled = succeeded + failed + skipped + notStarted;
  return [
    `${settled} of ${total} done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(notStarted > 0 ? [`${notStarted} not started`] : []),
    ...(running.length > 0 ? [`${running.length} running`] : []),
    ...(inTheWay === undefined ? [] : [`${inTheWay} waiting for what ran before`]),
  ].join(', ');
}
