import type { FleetStatus } from '../rotation/fleet';
import { secretIdOf } from '../rotation/names';
import { progressText } from './fleet-errors';
import { LiveRegion } from './live-region';
import type { Shell } from './shell';
import { note } from './shell';

/** Shows an environment's rotation while somebody waits for it. */
export interface FleetProgressView {
  update(status: FleetStatus): void;
  /** No worker answers. */
  unanswered(reason: string): void;
  close(): void;
}

const BAR_WIDTH = 30;
const MOST_RUNNING_SHOWN = 10;

/** On a terminal a bar with what runs, else a line when something has changed, with `--json` nothing. */
export function createFleetProgress(shell: Shell): FleetProgressView {
  if (shell.json) return { update() {}, unanswered() {}, close() {} };
  return shell.stderr.isTTY && shell.env.TERM !== 'dumb' ? bar(shell) : lines(shell);
}

/** Each failure is said once. */
function newFailures(said: Set<string>, { environment, failures }: FleetStatus): string[] {
  return failures
    .filter(({ secret }) => !said.has(secret))
    .map(({ secret, outcome, cause }) => {
      said.add(secret);
      return `${secretIdOf(environment, secret)}: ${outcome}: ${cause?.message ?? ''}`;
    });
}

function lines(shell: Shell): FleetProgressView {
  const failures = new Set<string>();
  let said = '';
  const sayOnce = (line: string) => {
    if (line === said) return;
    said = line;
    note(shell, line);
  };
  return {
    update(status) {
      for (const line of newFailures(failures, status)) note(shell, line);
      sayOnce(`${status.environment}: ${progressText(status)}`);
    },
    unanswered: (reason) => sayOnce(`waiting: ${reason}`),
    close() {},
  };
}

function bar(shell: Shell): FleetProgressView {
  const region = new LiveRegion(shell.stderr);
  const failures = new Set<string>();
  return {
    update(status) {
      for (const line of newFailures(failures, status)) region.above(line);
      const { environment, running, total, waiting, inTheWay = 0, waitsFor = [] } = status;
      const settled = total - waiting - running.length - inTheWay;
      const filled = total === 0 ? 0 : Math.round((settled / total) * BAR_WIDTH);
      region.draw([
        `${environment} [${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}] ${progressText(status)}`,
        ...running.slice(0, MOST_RUNNING_SHOWN).map(({ secret }) => `  ▸ ${secretIdOf(environment, secret)}`),
        ...waitsFor
          .slice(0, MOST_RUNNING_SHOWN)
          .map(({ secret, what }) => `  ◦ ${secretIdOf(environment, secret)} waits for its end: ${what}`),
        'Ctrl-C stops waiting; it goes on.',
      ]);
    },
    unanswered: (reason) => region.draw([`waiting: ${reason}`]),
    close: () => region.leave(),
  };
}
