import { styleText } from 'node:util';
import { formatDuration } from '../rotation/durations';
import type { RotationStatus, StepState, StepStatus } from '../rotation/types';

const MARKS = {
  pending: { mark: '·', words: 'pending', colour: 'dim' },
  running: { mark: '▸', words: 'running', colour: 'cyan' },
  'waiting-for-audit': { mark: '▸', words: 'waiting for the audit log', colour: 'yellow' },
  done: { mark: '✓', words: 'done', colour: 'green' },
  skipped: { mark: '–', words: 'skipped', colour: 'dim' },
  failed: { mark: '✗', words: 'failed', colour: 'red' },
  undoing: { mark: '↶', words: 'undoing', colour: 'yellow' },
  undone: { mark: '↺', words: 'undone', colour: 'yellow' },
  'undo-failed': { mark: '✗', words: 'undo failed', colour: 'red' },
} as const satisfies Record<StepState, { mark: string; words: string; colour: Parameters<typeof styleText>[0] }>;

/** States that the mark alone does not tell apart. */
const SPELLED_OUT: ReadonlySet<StepState> = new Set(['waiting-for-audit', 'undoing', 'undone', 'undo-failed']);

const TIMED: ReadonlySet<StepState> = new Set(['running', 'waiting-for-audit', 'done', 'failed']);
const DURATION_WIDTH = 10;

/** The steps that do not concern this rotation are left out. */
export function shownSteps(status: RotationStatus): StepStatus[] {
  return status.steps.filter((step) => step.state !== 'skipped');
}

/** The steps of a rotation, one line each: mark, how long it took or takes, what it does. */
export function stepLines(status: RotationStatus, now: number, colour: boolean): string[] {
  return shownSteps(status).map((step) => {
    const state = SPELLED_OUT.has(step.state) ? ` (${MARKS[step.state].words})` : '';
    return `${markOf(step.state, colour)} ${duration(step, now).padStart(DURATION_WIDTH)}  ${step.summary}${state}`;
  });
}

/** One step for a log: `done: Set the password (120 ms)`. */
export function stepChange(step: StepStatus, now: number): string {
  const took = step.endedAt ? duration(step, now) : '';
  return `${MARKS[step.state].words}: ${step.summary}${took ? ` (${took})` : ''}`;
}

export function markOf(state: StepState, colour: boolean): string {
  const { mark, colour: shade } = MARKS[state];
  return colour ? styleText(shade, mark) : mark;
}

/** The step that the status names, or the last that is not pending. */
export function currentStep(status: RotationStatus): StepStatus | undefined {
  return (
    status.steps.find((step) => step.name === status.step) ?? status.steps.findLast((step) => step.state !== 'pending')
  );
}

/** How long a step took or has been taking; empty once it is being undone, because its end is then that of the undoing. */
export function duration({ startedAt, endedAt, state }: StepStatus, now: number): string {
  if (!startedAt || !TIMED.has(state)) return '';
  const end = endedAt ? Date.parse(endedAt) : now;
  // The server's clock may be ahead of this one.
  return formatDuration(Math.max(0, end - Date.parse(startedAt)));
}
