import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../rotation/names';
import type { FleetStatus } from '../../rotation/fleet';

const ENVIRONMENT = defineSearchAttributeKey(SEARCH_ATTRIBUTES.environment, 'KEYWORD');
const PHASE = defineSearchAttributeKey(SEARCH_ATTRIBUTES.phase, 'KEYWORD');

/** Makes the fleet findable beside its rotations. What is indexed by already is not sent again. */
export function indexFleet({ environment, phase }: FleetStatus): void {
  const { typedSearchAttributes } = workflowInfo();
  const changed = [
    { key: ENVIRONMENT, value: environment },
    { key: PHASE, value: phase },
  ].filter(({ key, value }) => typedSearchAttributes.get(key) !== value);
  if (changed.length > 0) upsertSearchAttributes(changed);
}

/** What people or other systems wrote, without what would make a table or a link of it. */
function plain(text: string): string {
  return text.replaceAll(/[|\r\n`*<>[\]]/g, ' ');
}

/** The fleet in words, for the web UI and `temporal workflow describe`. */
export function writeFleetLogbook(status: FleetStatus): void {
  const { environment, types, phase, total, succeeded, failed, skipped, notStarted, waiting } = status;
  const about = [
    `**${environment}** (${types.join(', ')}${status.due ? ', what is due' : ''}): **${phase}**`,
    status.dryRun && 'dry run',
    status.emergency && 'emergency',
    status.requestedBy && `requested by ${plain(status.requestedBy)}`,
    status.reason && `reason: ${plain(status.reason)}`,
  ].filter(Boolean);
  setCurrentDetails(
    [
      about.join(', '),
      '',
      '| total | succeeded | failed | skipped | running | waiting | not started |',
      '|---|---|---|---|---|---|---|',
      `| ${total} | ${succeeded} | ${failed} | ${skipped} | ${status.running.length} | ${waiting} | ${notStarted} |`,
      ...(status.stopped ? ['', `**Stopped:** ${plain(status.stopped)}`] : []),
      ...(status.running.length > 0
        ? ['', ...status.running.map(({ secret, startedAt }) => `- ▶ ${secret} since ${startedAt}`)]
        : []),
      ...(status.waitsFor
        ? [
            '',
            ...status.waitsFor.map(
              ({ secret, what }) => `- ${secret} waits for the end of what ran before: ${plain(what)}`,
            ),
          ]
        : []),
      ...(status.failures.length > 0
        ? [
            '',
            '| failed | how | why |',
            '|---|---|---|',
            ...status.failures.map(
              ({ secret, outcome, cause }) => `| ${secret} | ${outcome} | ${plain(cause?.message ?? '')} |`,
            ),
          ]
        : []),
    ].join('\n'),
  );
}
