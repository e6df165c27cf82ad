import { styleText } from 'node:util';
import { StartupError } from '../runtime/startup-error';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';

/** What a command has to say: a document for programs and the same for people. */
export interface Answer {
  /** Plain JSON. */
  result: unknown;
  text: string;
  /** Set when the answer is that something is wrong; said after the text, and decides the exit code. */
  problem?: OperatorError;
}

/** Where a command reads its environment and says what it has to say. */
export interface Shell {
  env: NodeJS.ProcessEnv;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  /** `--json`: one JSON document on stdout and nothing else anywhere. */
  json: boolean;
}

/** A remark that is not the result; left out with `--json`. */
export function note(shell: Shell, text: string): void {
  if (!shell.json) shell.stderr.write(`${text}\n`);
}

/** Runs one command and says its answer or its failure. @returns the exit code. */
export async function answer(shell: Shell, command: () => Promise<Answer | void>): Promise<ExitCode> {
  try {
    const answered = await command();
    if (!answered) return ExitCode.Done;
    const { result, text, problem } = answered;
    if (!shell.json) shell.stdout.write(`${text}\n`);
    if (problem) return sayFailure(shell, problem);
    if (shell.json) writeJson(shell, { ok: true, result });
    return ExitCode.Done;
  } catch (error) {
    return sayFailure(shell, error);
  }
}

/** Says why a command failed: on stderr for people, on stdout for programs. @returns the exit code. */
export function sayFailure(shell: Shell, error: unknown): ExitCode {
  const { type, message, details, exitCode } = toOperatorError(error);
  if (shell.json) writeJson(shell, { ok: false, error: { type, message, ...(details !== undefined && { details }) } });
  else
    shell.stderr.write(`${usesColour(shell.env, shell.stderr) ? styleText('red', 'Error:') : 'Error:'} ${message}\n`);
  return exitCode;
}

/** The catalog's and the configuration's errors are written for operators; their classes are told apart by name. */
const USAGE_ERRORS = new Set(['CatalogError', 'UnknownSecretError', 'ConfigError']);

function toOperatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const name = error instanceof Error ? error.name : typeof error;
  const message = error instanceof Error ? error.message : String(error);
  if (USAGE_ERRORS.has(name)) return new OperatorError(name, message, ExitCode.Usage);
  if (error instanceof StartupError) return new OperatorError(name, message, ExitCode.Failed);
  const code = (error as { code?: unknown } | undefined)?.code;
  return new OperatorError(
    'Unexpected',
    `${message || 'something went wrong without saying what'} (${[name, code].filter((part) => typeof part === 'string').join(' ')})\n` +
      'This is not an answer that Keyturn knows. Check the surroundings: keyturn doctor',
    ExitCode.Failed,
  );
}

function writeJson(shell: Shell, document: unknown): void {
  shell.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
}

/** https://no-color.org: any non-empty NO_COLOR turns colour off. */
export function usesColour(env: NodeJS.ProcessEnv, stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}
