import type { RotationResult } from '../rotation/types';
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
    if (status.phase === 'grace-period' && status.graceEndsAt) lines.push(`Grace period until ${status.graceEndsAt}`);
    const { current, candidate } = status.versions;
    if (!result && (current || candidate)) {
      lines.push(
        `Versions: ${[current && `current ${current}`, candidate && `candidate ${candidate}`].filter(Boolean).join(', ')}`,
      );
    }
    lines.push(...stepLines(status, closedAt ? Date.parse(closedAt) : Date.now(), colour).map((line) => `  ${line}`));
    for (const { request, at, requestedBy, reason, refused } of status.requests) {
      const who = requestedBy ? ` by ${requestedBy}` : '';
      lines.push(`${at} ${request}${who}${reason ? ` (${reason})` : ''}${refused ? ` refused: ${refused}` : ''}`);
    }
  }
  if (unanswered) lines.push(unanswered);
  if (result) lines.push(resultText(secretId, result));
  if (failure) lines.push(`${failure.type}: ${failure.message}`);
  return lines.join('\n');
}

/** `keyturn status`. */
export function runningText(running: RunningRotation[]): string {
  if (running.length === 0) return 'No rotation is running.';
  return table([
    ['SECRET', 'WORKFLOW', 'PHASE', 'SINCE'],
    ...running.map(({ secretId, workflowType, phase, startedAt }) => [secretId, workflowType, phase ?? '-', startedAt]),
  ]);
}
