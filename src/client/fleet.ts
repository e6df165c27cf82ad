import { groupOf } from '../rotation/fleet';
import type { FleetEntry, FleetInput, FleetReport } from '../rotation/fleet';
import { secretIdOf } from '../rotation/names';
import { noWorker } from './errors';
import { abortCommand, foundText, reportProblem } from './fleet-errors';
import type { FleetRun } from './fleet-client';
import { createFleetProgress } from './fleet-progress';
import { untilInterrupted } from './interrupt';
import type { KeyturnClient } from './keyturn-client';
import type { Answer, Shell } from './shell';
import { note } from './shell';

/** Has the workers rotate an environment, or joins them while they do, and unless detached shows it until its report. */
export async function rotateEnvironment(
  shell: Shell,
  keyturn: KeyturnClient,
  input: FleetInput,
  detach: boolean,
): Promise<Answer> {
  const { fleets } = keyturn;
  const run = await fleets.start(input);
  const { environment, workflowId, runId, joined, stops } = run;
  if (joined) note(shell, `${foundText(joined)} Nothing was started; this follows it.`);
  if (stops) {
    note(shell, `${foundText(stops)} It starts no more, and what of this emergency it has running is rotated again.`);
  }
  if (detach) {
    const text = [
      joined ? `${workflowId} (run ${runId}) goes on.` : `Started ${workflowId} (run ${runId}).`,
      `Follow it: keyturn status ${environment} --follow`,
      `Stop it:   ${abortCommand(run)}`,
    ].join('\n');
    return { result: { environment, workflowId, runId, joined: joined !== undefined }, text };
  }
  return followFleet(shell, keyturn, run);
}

/** Shows an environment's rotation until its report, or until the operator stops waiting. */
export async function followFleet(shell: Shell, { fleets, taskQueue }: KeyturnClient, run: FleetRun): Promise<Answer> {
  const progress = createFleetProgress(shell);
  try {
    const report = await untilInterrupted((signal) =>
      fleets.follow(run, shell.json ? undefined : (status) => progress.update(status), {
        signal,
        onUnanswered: () => progress.unanswered(noWorker(taskQueue)),
      }),
    );
    return { result: report, text: reportText(report), problem: reportProblem(report) };
  } finally {
    progress.close();
  }
}

/** More than that are only counted, unless something is to be said of them. */
const MOST_NAMED = 50;

function reportText(report: FleetReport): string {
  const { environment, secrets, total, succeeded, failed, skipped, notStarted, notes = [] } = report;
  const named =
    secrets.length <= MOST_NAMED ? secrets : secrets.filter(({ outcome }) => groupOf(outcome) !== 'succeeded');
  return [
    ...named.map((entry) => entryText(environment, entry)),
    ...notes,
    `${environment}: ${total} secrets, ${succeeded} ${report.dryRun ? 'would be rotated' : 'succeeded'}, ${failed} failed, ${skipped} skipped, ${notStarted} not started.`,
  ].join('\n');
}

function entryText(environment: string, { secret, outcome, graceEndsAt, cause, reason, after }: FleetEntry): string {
  const why = cause?.message ?? reason ?? (after === undefined ? undefined : `after ${after} had ended`);
  const until = graceEndsAt === undefined ? '' : ` until ${graceEndsAt}`;
  return `${secretIdOf(environment, secret)}: ${outcome}${until}${why === undefined ? '' : `: ${why}`}`;
}
