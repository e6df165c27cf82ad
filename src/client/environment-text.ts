import { secretIdOf } from '../rotation/names';
import type { Emergency } from './emergencies';
import type { EnvironmentRun } from './environment-runs';
import { shellQuoted } from './errors';
import { progressText, scopeText } from './fleet-errors';
import { commandLines } from './grace-period';
import { table } from './table';

const MOST_SHOWN = 10;

/** What runs for whole environments, a line for each, and what can be typed. */
export function runsText(runs: readonly EnvironmentRun[]): string {
  return [
    table([
      ['ENVIRONMENT', 'WHAT', 'PROGRESS', 'SINCE', 'BY'],
      ...runs.map((run) => [
        run.environment,
        whatText(run),
        howFar(run),
        run.startedAt,
        run.status?.requestedBy ?? '-',
      ]),
    ]),
    ...commandLines(
      runs.map(({ environment }) => ({ what: `More of ${environment}`, command: `keyturn status ${environment}` })),
    ).filter((line, n, lines) => lines.indexOf(line) === n),
  ].join('\n');
}

/** What runs for one environment: how far it is, what it does now, what has failed, and what can be typed. */
export function runText(run: EnvironmentRun): string {
  const { environment, startedAt, status, unanswered, canType } = run;
  const who = status?.requestedBy ? `, started by ${status.requestedBy}` : '';
  const why = status?.reason ? ` (${status.reason})` : '';
  return [
    `${environment}: ${whatText(run)} since ${startedAt}${who}${why}`,
    unanswered ?? `Progress: ${howFar(run)}`,
    ...(status?.stopped === undefined ? [] : [`It starts no more: ${status.stopped}`]),
    ...shown(
      status?.running ?? [],
      ({ secret, startedAt: at }) => `  ▸ ${secretIdOf(environment, secret)} since ${at}`,
    ),
    ...shown(
      status?.waitsFor ?? [],
      ({ secret, what }) => `  ◦ ${secretIdOf(environment, secret)} waits for the end of what ran before: ${what}`,
    ),
    ...shown(
      status?.failures ?? [],
      ({ secret, outcome, cause }) => `  ✗ ${secretIdOf(environment, secret)}: ${outcome}: ${cause?.message ?? ''}`,
    ),
    ...commandLines(canType),
  ].join('\n');
}

/** What of it concerns somebody who looks at one secret. */
export function aboutSecret(
  secretId: string,
  fleet?: EnvironmentRun,
  emergencies: readonly Emergency[] = [],
): string[] {
  return [
    ...shown(emergencies, ({ workflowId, since, state }) =>
      state === 'rotating'
        ? `This is the rotation of the emergency that was declared at ${since}.`
        : `An emergency waits for its end since ${since}: then ${secretId} is rotated again. To call that off: temporal workflow cancel --workflow-id ${word(workflowId)}`,
    ),
    ...(fleet
      ? [
          `${fleet.environment} is being rotated as a whole${fleet.emergency ? ', in an emergency,' : ''} since ${fleet.startedAt}: ${howFar(fleet)}. More: keyturn status ${fleet.environment}`,
        ]
      : []),
  ];
}

/** What waits in an environment for the end of single rotations; those that rotate are among the rotations that run. */
export function emergenciesText(emergencies: readonly Emergency[]): string[] {
  const waiting = emergencies.filter(({ state }) => state === 'waiting');
  const lines = shown(
    waiting,
    ({ secretId, since }) =>
      `${secretId}: an emergency waits since ${since} for the end of what runs. More: keyturn status ${secretId}`,
  );
  return lines.length > 0 ? [lines.join('\n')] : [];
}

/** The IDs of events come from outside, and may hold anything. */
function word(workflowId: string): string {
  return /^[\w./:@-]+$/.test(workflowId) ? workflowId : shellQuoted(workflowId);
}

function whatText({ kind, status, emergency }: EnvironmentRun): string {
  if (status) return `${kind} (${scopeText(status)})`;
  return emergency ? `${kind} (emergency)` : kind;
}

function howFar({ status, progress }: EnvironmentRun): string {
  if (status) return progressText(status);
  if (!progress) return 'not known';
  const { doing, done, total } = progress;
  return total > 1 ? `${doing}: ${done} of ${total}` : doing;
}

function shown<T>(items: readonly T[], text: (item: T) => string): string[] {
  const more = items.length - MOST_SHOWN;
  return [...items.slice(0, MOST_SHOWN).map(text), ...(more > 0 ? [`  … and ${more} more`] : [])];
}
