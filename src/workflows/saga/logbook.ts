import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../rotation/names';
import type { RotationStatus, StepState } from '../../rotation/types';

const keyword = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');

const KEYS = {
  environment: keyword(SEARCH_ATTRIBUTES.environment),
  secret: keyword(SEARCH_ATTRIBUTES.secret),
  type: keyword(SEARCH_ATTRIBUTES.type),
  phase: keyword(SEARCH_ATTRIBUTES.phase),
};

/** Makes the rotation findable: `KeyturnEnvironment = 'production' AND KeyturnPhase = 'grace-period'`. */
export function indexRotation(status: RotationStatus): void {
  upsertSearchAttributes([
    { key: KEYS.environment, value: status.environment },
    { key: KEYS.secret, value: status.secret },
    { key: KEYS.type, value: status.type ?? null },
    { key: KEYS.phase, value: status.phase },
  ]);
}

export function indexPhase(status: RotationStatus): void {
  upsertSearchAttributes([{ key: KEYS.phase, value: status.phase }]);
}

const MARK: Record<StepState, string> = {
  pending: '·',
  running: '▶',
  'waiting-for-audit': '⏸ auditing is down',
  done: '✔',
  skipped: '–',
  failed: '✘',
  undoing: '↩ undoing',
  undone: '↩ undone',
  'undo-failed': '✘ not undone',
};

/** The rotation in words, for the web UI and `temporal workflow describe`. */
export function writeLogbook(status: RotationStatus): void {
  const about = [
    `**${status.environment}/${status.secret}** (${status.type ?? 'type not known yet'}): **${status.outcome ?? status.phase}**`,
    status.requestedBy && `requested by ${status.requestedBy}`,
    status.reason && `reason: ${status.reason}`,
    status.graceEndsAt && `grace period ends ${status.graceEndsAt}`,
    status.pastPointOfNoReturn && !status.outcome && 'past the point of no return',
  ].filter(Boolean);
  const versions = [
    status.versions.current && `was \`${status.versions.current}\``,
    status.versions.candidate && `candidate \`${status.versions.candidate}\``,
  ].filter(Boolean);
  const requests = status.requests.map(
    ({ request, at, requestedBy, reason, refused }) =>
      `- ${at} ${request}${requestedBy ? ` by ${requestedBy}` : ''}${reason ? `: ${reason}` : ''}${refused ? ` (refused: ${refused})` : ''}`,
  );
  setCurrentDetails(
    [
      about.join(', '),
      versions.join(', '),
      '',
      '| | step | since |',
      '|---|---|---|',
      ...status.steps.map((step) => `| ${MARK[step.state]} | ${step.summary} | ${step.startedAt ?? ''} |`),
      ...(requests.length > 0 ? ['', ...requests] : []),
    ].join('\n'),
  );
}
