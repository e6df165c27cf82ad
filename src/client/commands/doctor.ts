import { styleText } from 'node:util';
import type { Check, CheckState } from '../doctor/check';
import { OperatorError } from '../errors';
import { ExitCode } from '../exit-codes';
import type { Answer, Shell } from '../shell';
import { usesColour } from '../shell';
import type { Register } from './registration';

export const registerDoctor: Register = (program, run) => {
  program
    .command('doctor')
    .summary('check everything that a rotation needs')
    .description(
      'Checks configuration, catalog, Temporal, AWS, every secret and its target, the audit database, notification channels and backups. ' +
        'Changes nothing; exit code 1 when something failed.',
    )
    .action(() => run(doctor));
};

async function doctor(shell: Shell): Promise<Answer> {
  // Loaded on demand, which takes a name with its extension: other commands need no database driver.
  const { examine } = await import('../doctor/examine.js');
  const checks = await examine(shell.env);
  const text = checkTable(checks, usesColour(shell.env, shell.stdout));
  const failures = checks.filter(({ state }) => state === 'failed').length;
  if (failures === 0) return { result: { checks }, text };
  const message =
    failures === 1 ? 'One check failed; it says what to do.' : `${failures} checks failed; each says what to do.`;
  return { result: { checks }, text, problem: new OperatorError('ChecksFailed', message, ExitCode.Failed, { checks }) };
}

const MARKS = {
  ok: { mark: '✓', colour: 'green' },
  warning: { mark: '!', colour: 'yellow' },
  failed: { mark: '✗', colour: 'red' },
  skipped: { mark: '–', colour: 'dim' },
} as const satisfies Record<CheckState, { mark: string; colour: Parameters<typeof styleText>[0] }>;

function checkTable(checks: Check[], colour: boolean): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .flatMap(({ name, state, found, todo }) => {
      const { mark, colour: shade } = MARKS[state];
      const line = `${colour ? styleText(shade, mark) : mark} ${name.padEnd(width)}  ${found}`;
      return [line, ...(todo ? todo.split('\n').map((part) => `    → ${part}`) : [])];
    })
    .join('\n');
}
