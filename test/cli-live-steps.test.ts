import { stripVTControlCharacters } from 'node:util';
import { createProgress } from '../src/client/progress';
import type { Progress } from '../src/client/progress';
import type { RotationStatus, StepState } from '../src/rotation/types';

const ESCAPE = '\u001b';
const CONTROLS_AND_TEXT = new RegExp(
  `${ESCAPE}\\[(\\d+)A|(${ESCAPE}\\[0J)|\\n|${ESCAPE}\\[\\d+m|[^${ESCAPE}\\n]+`,
  'g',
);

/** A terminal that understands what the live list uses: going up, clearing to the end, and new lines. */
class Terminal {
  readonly isTTY = true;
  readonly lines: string[] = [''];
  private row = 0;

  constructor(
    readonly columns: number,
    readonly rows: number,
  ) {}

  write(text: string): boolean {
    for (const [part, up, clear] of text.matchAll(CONTROLS_AND_TEXT)) {
      if (up) this.row = Math.max(0, this.row - Number(up));
      else if (clear) this.lines.splice(this.row, Infinity, '');
      else if (part === '\n') this.lines[++this.row] ??= '';
      else this.lines[this.row] += part;
    }
    return true;
  }

  /** What stands on it, without colour. */
  shown(): string[] {
    return this.lines.filter((line) => line !== '').map((line) => stripVTControlCharacters(line));
  }
}

let progress: Progress | undefined;
afterEach(() => progress?.close());

function show(terminal: Terminal, many = false, env: NodeJS.ProcessEnv = {}): Progress {
  const stream = terminal as unknown as NodeJS.WriteStream;
  progress = createProgress({ env, stdout: stream, stderr: stream, json: false }, many);
  return progress;
}

/** A rotation whose steps are in these states. */
function statusOf(states: StepState[], about: Partial<RotationStatus> = {}): RotationStatus {
  const [startedAt, endedAt] = ['2030-01-01T12:00:00.000Z', '2030-01-01T12:00:00.120Z'];
  return {
    environment: 'dev',
    secret: 'app',
    phase: 'rotating',
    step: `step${states.findIndex((state) => state === 'running') + 1}`,
    steps: states.map((state, index) => ({
      name: `step${index + 1}`,
      summary: `do thing ${index + 1}`,
      state,
      ...(state === 'done' && { startedAt, endedAt }),
      ...(state === 'running' && { startedAt }),
    })),
    versions: {},
    startedAt,
    pastPointOfNoReturn: false,
    requests: [],
    ...about,
  };
}

test('the steps of one rotation are a list that is redrawn in place, and left standing at the end', () => {
  const terminal = new Terminal(80, 24);
  const { update, close } = show(terminal);
  update('dev/app', statusOf(['done', 'running', 'skipped', 'pending']));
  expect(terminal.shown()).toEqual([
    '✓     120 ms  do thing 1',
    expect.stringMatching(/^▸ .* do thing 2$/),
    '·             do thing 4',
  ]);
  update('dev/app', statusOf(['done', 'done', 'skipped', 'failed']));
  close();
  expect(terminal.shown()).toEqual([
    '✓     120 ms  do thing 1',
    '✓     120 ms  do thing 2',
    '✗             do thing 4',
  ]);
});

test('what is undone is told in words', () => {
  const terminal = new Terminal(80, 24);
  show(terminal).update('dev/app', statusOf(['undone', 'undoing', 'undo-failed', 'waiting-for-audit']));
  expect(terminal.shown().map((line) => line.replace(/ +/g, ' '))).toEqual([
    '↺ do thing 1 (undone)',
    '↶ do thing 2 (undoing)',
    '✗ do thing 3 (undo failed)',
    '▸ do thing 4 (waiting for the audit log)',
  ]);
});

test('a line that is wider than the terminal is cut, and a list that is taller shows its end, so that nothing is drawn twice', () => {
  const terminal = new Terminal(20, 5);
  const { update } = show(terminal);
  const states = Array.from({ length: 9 }, (): StepState => 'done');
  for (let redraw = 0; redraw < 3; redraw += 1) update('dev/app', statusOf(states));
  expect(terminal.shown()).toEqual([6, 7, 8, 9].map(() => '✓     120 ms  do t…'));
});

test('while no worker answers that is said below the steps, until one does', () => {
  const terminal = new Terminal(80, 24);
  const { update, unanswered } = show(terminal);
  unanswered('dev/app', 'no worker is polling');
  expect(terminal.shown()[0]).toBe('dev/app: no worker is polling');
  update('dev/app', statusOf(['running']));
  unanswered('dev/app', 'no worker is polling');
  expect(terminal.shown()).toEqual([expect.stringContaining('do thing 1'), 'waiting: no worker is polling']);
  update('dev/app', statusOf(['done']));
  expect(terminal.shown()).toEqual(['✓     120 ms  do thing 1']);
});

test('a grace period shows its end, and that the rotation goes on without anybody waiting', () => {
  const terminal = new Terminal(120, 24);
  const graceEndsAt = new Date(Date.now() + 2.5 * 3_600_000).toISOString();
  show(terminal).update('dev/app', statusOf(['done', 'running'], { phase: 'grace-period', graceEndsAt }));
  expect(terminal.shown().at(-1)).toMatch(
    new RegExp(`^Grace period until ${graceEndsAt} \\(2 h (29|30) min left\\)\\. Ctrl-C stops waiting; the rotation`),
  );
});

test('many rotations have a line each, and what became of each stays above those that still run', () => {
  const terminal = new Terminal(80, 24);
  const { update, ended, close } = show(terminal, true);
  update('dev/app', statusOf(['done', 'running']));
  update('dev/jwt', statusOf(['running', 'pending']));
  expect(terminal.shown()).toEqual([
    expect.stringMatching(/^▸ dev\/app .* do thing 2$/),
    expect.stringMatching(/^▸ dev\/jwt .* do thing 1$/),
  ]);
  ended('dev/app', 'rotated');
  expect(terminal.shown()).toEqual(['dev/app: rotated', expect.stringMatching(/^▸ dev\/jwt /)]);
  ended('dev/jwt', 'failed: it could not');
  close();
  expect(terminal.shown()).toEqual(['dev/app: rotated', 'dev/jwt: failed: it could not']);
});

test('colour is left out where NO_COLOR asks for that, and a dumb terminal gets one line per change', () => {
  const written: string[] = [];
  const recording = (): Terminal => {
    const terminal = new Terminal(80, 24);
    terminal.write = (text) => written.push(text) > 0;
    return terminal;
  };
  show(recording(), false, { NO_COLOR: '1' }).update('dev/app', statusOf(['done']));
  expect(written.join('')).not.toContain(`${ESCAPE}[3`);
  progress?.close();
  written.length = 0;
  const { update } = show(recording(), false, { TERM: 'dumb' });
  for (let time = 0; time < 2; time += 1) update('dev/app', statusOf(['done', 'pending']));
  expect(written).toEqual(['dev/app: done: do thing 1 (120 ms)\n']);
});
