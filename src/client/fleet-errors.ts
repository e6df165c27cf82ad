import { Cause } from '../rotation/errors';
import type { FleetReport, FleetStatus } from '../rotation/fleet';
import { fleetWorkflowId } from '../rotation/names';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';

/**
 * Thrown on a start while the environment is being rotated in another way; the one that runs is left alone.
 *
 * @param emergency whether an emergency was asked for, which need not wait for what an ordinary fleet has started.
 */
export class FleetRunsAlready extends OperatorError {
  constructor(environment: string, running?: FleetStatus, emergency = false) {
    const what = running
      ? `${environment} is being rotated (${scopeText(running)}) since ${running.startedAt}${running.requestedBy ? `, started by ${running.requestedBy}` : ''}: ${progressText(running)}.`
      : `${environment} is being rotated.`;
    const isAnother = emergency && running?.emergency === true && !running.dryRun && running.stopped === undefined;
    super(
      'AlreadyRunning',
      [
        what,
        'That is not what you asked for, and nothing was started.',
        ...(isAnother ? [ANOTHER_EMERGENCY] : []),
        ...(running?.stopped === undefined ? [] : [windingDown(running, running.stopped)]),
        `Follow it: keyturn status ${environment} --follow`,
        ...(running?.stopped === undefined && !isAnother
          ? [`Stop it:   keyturn abort ${environment} --all --reason '...'`]
          : []),
        ...(emergency && !isAnother ? [sooner(environment)] : []),
      ].join('\n'),
      ExitCode.Refused,
      running,
    );
  }
}

/** To stop it would leave what leaked before as it is. */
const ANOTHER_EMERGENCY =
  'It is an emergency of another reason or scope, and what it has rotated already may have leaked since: type the same again when it has ended.';

function windingDown({ running }: FleetStatus, stopped: string): string {
  const left = running.length === 1 ? 'the rotation that runs has' : `the ${running.length} rotations that run have`;
  const when = running.length === 0 ? 'in a moment' : `when ${left} ended`;
  return `It starts no more already (${stopped}), and ends ${when}; type the same again then.`;
}

/** A fleet's workflow ID is taken until the last of its rotations has ended, which may be long. */
function sooner(environment: string): string {
  return `Not to wait until its rotations have ended: temporal workflow terminate --workflow-id ${fleetWorkflowId(environment)}, which stops none of them. Then the same again: the emergency deals with those that run.`;
}

/** Thrown when the operator stopped waiting; neither the fleet nor its rotations are affected. */
export class FleetDetached extends OperatorError {
  constructor({ environment, workflowId, runId }: { environment: string; workflowId: string; runId: string }) {
    super(
      'Detached',
      [
        `Stopped waiting. ${environment} goes on being rotated.`,
        `Follow it: keyturn status ${environment} --follow`,
        `Stop it:   keyturn abort ${environment} --all --reason '...'`,
      ].join('\n'),
      ExitCode.Detached,
      { workflowId, runId },
    );
  }
}

/** Thrown when there is no fleet to stop. */
export class FleetNotRunning extends OperatorError {
  constructor(environment: string) {
    super(
      'NotRunning',
      `${environment} is not being rotated as a whole. Nothing was changed.\nSee what runs: keyturn status`,
      ExitCode.Refused,
    );
  }
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
