import type { RotationStatus } from '../rotation/types';
import { commandLines, graceCommands, graceLines, graceText } from './grace-period';
import { LiveRegion, wrapped } from './live-region';
import type { Shell } from './shell';
import { note, usesColour } from './shell';
import { currentStep, duration, markOf, shownSteps, stepChange, stepLines } from './step-lines';

/** Shows rotations while somebody waits for them. */
export interface Progress {
  update(secretId: string, status: RotationStatus): void;
  /** No worker answers. */
  unanswered(secretId: string, reason: string): void;
  /** The secret's rotation has ended; `summary` is left standing. */
  ended(secretId: string, summary?: string): void;
  close(): void;
}

/**
 * On a terminal a live list, else one line per step change on stderr, with `--json` nothing.
 *
 * @param many shows one line per rotation instead of one per step.
 */
export function createProgress(shell: Shell, many: boolean): Progress {
  if (shell.json) return { update() {}, unanswered() {}, ended() {}, close() {} };
  return shell.stderr.isTTY && shell.env.TERM !== 'dumb' ? liveProgress(shell, many) : lineProgress(shell, many);
}

function lineProgress(shell: Shell, many: boolean): Progress {
  const said = new Map<string, Map<string, string>>();
  const saidOf = (secretId: string) => {
    let known = said.get(secretId);
    if (!known) said.set(secretId, (known = new Map()));
    return known;
  };
  const sayOnce = (secretId: string, about: string, state: string, line: string) => {
    const known = saidOf(secretId);
    if (known.get(about) === state) return;
    known.set(about, state);
    note(shell, `${secretId}: ${line}`);
  };
  return {
    update(secretId, status) {
      saidOf(secretId).delete('worker');
      for (const step of shownSteps(status)) {
        if (step.state !== 'pending') sayOnce(secretId, step.name, step.state, stepChange(step, Date.now()));
      }
      const grace = graceLines(status, Date.now());
      if (grace.length === 0) return;
      sayOnce(secretId, 'grace period', stateOfGrace(status), grace.map(lowerFirst).join('; '));
      if (many) return sayOnce('all', 'grace period', 'begun', ALL_GO_ON);
      const commands = [GOES_ON, ...commandLines(graceCommands(secretId, status))];
      sayOnce(secretId, 'commands', commands.join('\n'), commands.join('\n  '));
    },
    unanswered: (secretId, reason) => sayOnce(secretId, 'worker', 'missing', `waiting: ${reason}`),
    ended: (secretId, summary) => summary && note(shell, `${secretId}: ${summary}`),
    close() {},
  };
}

const GOES_ON = 'Ctrl-C stops waiting; the rotation goes on.';
const ALL_GO_ON = 'Ctrl-C stops waiting; the rotations that have started go on.';

/** What of a grace period can change, but for the time that is left. */
function stateOfGrace({ graceEndsAt, graceEndsLatest, phaseInPercent }: RotationStatus): string {
  return JSON.stringify([graceEndsAt, graceEndsLatest, phaseInPercent]);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

const REDRAW_MS = 120;

function liveProgress(shell: Shell, many: boolean): Progress {
  const colour = usesColour(shell.env, shell.stderr);
  const region = new LiveRegion(shell.stderr);
  const shown = new Map<string, { status?: RotationStatus; waiting?: string }>();

  const draw = () => {
    const now = Date.now();
    const lines = [...shown].flatMap(([secretId, { status, waiting }]) => {
      if (!status) return [`${secretId}: ${waiting ?? 'starting'}`];
      return many
        ? [oneLine(secretId, status, now, colour)]
        : [
            ...stepLines(status, now, colour),
            ...remarks(secretId, status, now).flatMap((line) => wrapped(line, shell.stderr.columns)),
          ];
    });
    const inGrace = [...shown.values()].some(({ status }) => status && graceText(status, now));
    if (many && inGrace) lines.push(ALL_GO_ON);
    const waiting = many ? [] : [...shown.values()].flatMap((rotation) => rotation.waiting ?? []);
    region.draw([...lines, ...waiting.map((reason) => `waiting: ${reason}`)]);
  };
  const timer = setInterval(draw, REDRAW_MS);
  timer.unref();

  return {
    update(secretId, status) {
      shown.set(secretId, { status });
      draw();
    },
    unanswered(secretId, waiting) {
      shown.set(secretId, { ...shown.get(secretId), waiting });
      draw();
    },
    ended(secretId, summary) {
      if (!many) return draw();
      shown.delete(secretId);
      if (summary) region.above(`${secretId}: ${summary}`);
      draw();
    },
    close() {
      clearInterval(timer);
      draw();
      region.leave();
    },
  };
}

function oneLine(secretId: string, status: RotationStatus, now: number, colour: boolean): string {
  const step = currentStep(status);
  if (!step) return `${secretId}  ${status.phase}`;
  const grace = graceText(status, now);
  if (grace) return `${markOf(step.state, colour)} ${secretId}  ${lowerFirst(grace)}`;
  return `${markOf(step.state, colour)} ${secretId}  ${duration(step, now)}  ${step.summary}`;
}

/** The one line that moves stands last. */
function remarks(secretId: string, status: RotationStatus, now: number): string[] {
  const [grace, ...more] = graceLines(status, now);
  if (grace === undefined) return [];
  return ['', ...commandLines(graceCommands(secretId, status)), ...more, `${grace}. ${GOES_ON}`];
}
