import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
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

/**
 * Makes the rotation findable: `KeyturnEnvironment = 'production' AND KeyturnPhase = 'grace-period'`. What it was started with, or is
 * indexed by already, is not sent again: each sending is an event, a write to the server's index and a billable action.
 */
export function indexRotation(status: RotationStatus): void {
  const { typedSearchAttributes } = workflowInfo();
  const changed = [
    { key: KEYS.environment, value: status.environment },
    { key: KEYS.secret, value: status.secret },
    { key: KEYS.type, value: status.type ?? null },
    { key: KEYS.phase, value: status.phase },
  ].filter(({ key, value }) => (typedSearchAttributes.get(key) ?? null) !== value);
  if (changed.length > 0) upsertSearchAttributes(changed);
}

/** The web UI shows a page, not a list; `status` knows more. */
const REQUESTS_IN_WORDS = 20;

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

/** What people wrote, without what would make a table or a link of it. */
function plain(text: string): string {
  return text.replaceAll(/[|\r\n`*<>[\]]/g, ' ');
}

/** The rotation in words, for the web UI and `temporal workflow describe`. */
export function writeLogbook(status: RotationStatus): void {
  const about = [
    `**${status.environment}/${status.secret}** (${status.type ?? 'type not known yet'}): **${status.outcome ?? status.phase}**`,
    status.requestedBy && `requested by ${plain(status.requestedBy)}`,
    status.reason && `reason: ${plain(status.reason)}`,
    status.graceEndsAt && `grace period ends ${status.graceEndsAt}`,
    status.phaseInPercent !== undefined && `the new key's share is ${status.phaseInPercent} %`,
    status.keys?.new && `new key ${plain(status.keys.new)}`,
    status.keys?.old && `old key ${plain(status.keys.old)}`,
    status.pastPointOfNoReturn && !status.outcome && 'past the point of no return',
  ].filter(Boolean);
  const versions = [
    status.versions.current && `was \`${status.versions.current}\``,
    status.versions.candidate && `candidate \`${status.versions.candidate}\``,
  ].filter(Boolean);
  const requests = status.requests
    .slice(-REQUESTS_IN_WORDS)
    .map(
      ({ request, at, asked, requestedBy, reason, refused }) =>
        `- ${at} ${request}${asked ? ` ${plain(asked)}` : ''}${requestedBy ? ` by ${plain(requestedBy)}` : ''}${reason ? `: ${plain(reason)}` : ''}${refused ? ` (refused: ${plain(refused)})` : ''}`,
    );
  setCurrentDetails(
    [
      about.join(', '),
      versions.join(', '),
      '',
      '| | step | since | problem |',
      '|---|---|---|---|',
      ...status.steps.map(
        (step) =>
          `| ${MARK[step.state]} | ${plain(step.summary)} | ${step.startedAt ?? ''} | ${plain(step.problem ?? '')} |`,
      ),
      ...(requests.length > 0 ? ['', ...requests] : []),
    ].join('\n'),
  );
}
