import type { RotationResult, RotationStatus } from '../rotation/types';
import { commandLines, graceCommands, graceLines } from './grace-period';
import type { RotationReport, RunningRotation } from './rotation-report';
import { startedBy } from './rotation-report';
import { stepLines } from './step-lines';
import { table } from './table';

/** A rotation's or rollback's result in words. */
export function resultText(secretId: string, result: RotationResult): string {
  return [headline(secretId, result), ...(result.warnings ?? []).map((warning) => `Warning: ${warning}`)].join('\n');
}

function headline(secretId: string, { outcome, versions, steps, reason }: RotationResult): string {
  const current = versions.current ?? 'unknown';
  switch (outcome) {
    case 'rotated':
      return `${secretId}: AWSCURRENT is now version ${current}${versions.previous ? ` (was ${versions.previous})` : ''}.`;
    case 'restored':
      return `${secretId}: AWSCURRENT is now version ${current}, which holds what the backup holds.`;
    case 'delivered':
      return `${secretId}: its dependents have version ${current}.`;
    case 'unchanged':
      return `${secretId} is as it was: AWSCURRENT is version ${current}.`;
    case 'aborted':
      return `${secretId}: aborted${reason ? ` (${reason})` : ''}; AWSCURRENT is version ${current}.`;
    case 'dry-run':
      return [
        `Dry run, nothing was touched. For ${secretId} it would:`,
        ...steps.map((step, index) => `  ${index + 1}. ${step.summary}`),
      ].join('\n');
  }
}

/** `keyturn status <environment>/<name>`. */
export function reportText(report: RotationReport, colour: boolean): string {
  const { secretId, workflowType, execution, startedAt, closedAt, status, unanswered, result, failure } = report;
  const ended = closedAt ? `, ${execution} ${closedAt}` : `, ${execution}`;
  const lines = [`${secretId}: ${workflowType} since ${startedAt}${ended}${startedBy(report)}`];
  if (status) {
    lines.push(`Phase: ${status.phase}${status.pastPointOfNoReturn ? ', past the point of no return' : ''}`);
    if (execution === 'running') lines.push(...graceLines(status, Date.now()));
    lines.push(...keyLines(status));
    const { current, candidate } = status.versions;
    if (!result && (current || candidate)) {
      lines.push(
        `Versions: ${[current && `current ${current}`, candidate && `candidate ${candidate}`].filter(Boolean).join(', ')}`,
      );
    }
    lines.push(...stepLines(status, closedAt ? Date.parse(closedAt) : Date.now(), colour).map((line) => `  ${line}`));
    lines.push(...requestLines(status));
    if (execution === 'running') lines.push(...commandLines(graceCommands(secretId, status)));
  }
  if (unanswered) lines.push(unanswered);
  if (result) lines.push(resultText(secretId, result));
  if (failure) lines.push(`${failure.type}: ${failure.message}`);
  return lines.join('\n');
}

/** The provider's public IDs. */
function keyLines({ keys }: RotationStatus): string[] {
  const known = [keys?.old && `old ${keys.old}`, keys?.new && `new ${keys.new}`].filter(Boolean);
  return known.length > 0 ? [`Keys: ${known.join(', ')}`] : [];
}

/** Who asked for what, in order. */
function requestLines({ requests, earlierRequests }: RotationStatus): string[] {
  const lines = requests.map(({ request, at, asked, requestedBy, reason, refused }) => {
    const who = requestedBy ? ` by ${requestedBy}` : '';
    return `${at} ${request}${asked ? ` ${asked}` : ''}${who}${reason ? ` (${reason})` : ''}${refused ? ` refused: ${refused}` : ''}`;
  });
  if (!earlierRequests) return lines;
  return [`${earlierRequests} earlier request${earlierRequests === 1 ? '' : 's'}, in the audit log`, ...lines];
}

/** `keyturn status`. */
export function runningText(running: RunningRotation[]): string {
  if (running.length === 0) return 'No rotation is running.';
  return table([
    ['SECRET', 'WORKFLOW', 'PHASE', 'SINCE'],
    ...running.map(({ secretId, workflowType, phase, startedAt }) => [secretId, workflowType, phase ?? '-', startedAt]),
  ]);
}
