import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { projectFile } from '../lab/project';
import type { Testbed } from './testbed';

/** How a command ended; `code` is `null` when a signal ended it. */
export interface CliEnd {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningCli {
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** Ctrl-C. */
  interrupt(): void;
  ended: Promise<CliEnd>;
}

/** The built `keyturn` as an operator runs it, without a terminal; all that it writes is scanned for values. */
export interface Cli {
  start(argv: string[], env?: Record<string, string>): RunningCli;
  run(argv: string[], env?: Record<string, string>): Promise<CliEnd>;
  /** Runs a command with `--json`, which writes exactly one document. */
  json<T>(argv: string[], env?: Record<string, string>): Promise<JsonEnd<T>>;
  /** Ends what still runs, such as a wait for a rotation that stands still. */
  stop(): Promise<void>;
}

export interface JsonEnd<T> {
  code: number | null;
  ok: boolean;
  result: T;
  error: { type: string; message: string; details?: unknown };
}

/** @param bed its environment variables are the CLI's; nothing of this process's own reaches it but PATH. */
export function createCli(bed: Testbed): Cli {
  const running = new Set<ChildProcess>();

  function start(argv: string[], env: Record<string, string> = {}): RunningCli {
    // Its stdin is open and silent: a question would wait for ever.
    const child = spawn(process.execPath, [projectFile('dist', 'src', 'client', 'cli.js'), ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: '/nonexistent', ...bed.env, ...env },
    });
    running.add(child);
    const written = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => (written[stream] += text));
    }
    const ended = once(child, 'close').then(([code]): CliEnd => {
      running.delete(child);
      bed.alsoScan(`keyturn ${argv.join(' ')}`, `${written.stdout}\n${written.stderr}`);
      return { code: code as number | null, ...written };
    });
    return {
      stdout: () => written.stdout,
      stderr: () => written.stderr,
      interrupt: () => void child.kill('SIGINT'),
      ended,
    };
  }

  const run: Cli['run'] = (argv, env) => start(argv, env).ended;

  return {
    start,
    run,
    async json<T>(argv: string[], env?: Record<string, string>) {
      const { code, stdout, stderr } = await run([...argv, '--json'], env);
      if (stderr !== '') throw new Error(`keyturn ${argv.join(' ')} --json wrote on stderr: ${stderr}`);
      return { code, ...(JSON.parse(stdout) as Omit<JsonEnd<T>, 'code'>) };
    },
    async stop() {
      await Promise.all([...running].map(async (child) => child.kill('SIGKILL') && once(child, 'close')));
    },
  };
}
