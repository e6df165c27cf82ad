import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { watchProcessGroup } from './watcher';

export interface ProcessOptions {
  /** The whole environment of the child; this process's own when absent. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Run as this user; only root can. */
  owner?: { uid: number; gid: number };
  /** Called with each line of stdout and stderr. */
  onLine?: (line: string) => void;
  /** How much of the output is kept, in characters; what is older is dropped. Default 2 million. */
  keepOutput?: number;
}

export interface ProcessEnd {
  /** `null` when a signal ended it, or when it could not be started. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  pid: number | undefined;
  /** stdout and stderr so far, by line. */
  output(): string;
  /** Resolves when it has ended; never rejects. */
  exited: Promise<ProcessEnd>;
  isRunning(): boolean;
  /** Signals this process alone. */
  signal(signal: NodeJS.Signals): void;
  /** Signals its process group, waits, and after `graceMs` sends SIGKILL. */
  end(signal?: NodeJS.Signals, graceMs?: number): Promise<ProcessEnd>;
}

/** Starts a child in a process group of its own, which ends when this process does, however that ends. */
export function startProcess(command: string, args: string[], options: ProcessOptions = {}): RunningProcess {
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    ...options.owner,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = child.pid === undefined ? () => undefined : watchProcessGroup(child.pid);
  const output = keepLines(options.keepOutput ?? 2_000_000);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      output.add(line);
      options.onLine?.(line);
    });
  }

  let running = true;
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once('error', (error) => {
      output.add(error.message);
      if (child.pid !== undefined) return;
      running = false;
      resolve({ code: null, signal: null });
    });
    child.once('exit', (code, signal) => {
      running = false;
      ended();
      // 'close' comes with the last of the output; a grandchild that holds the pipe open would keep it waiting for ever.
      child.once('close', () => resolve({ code, signal }));
      setTimeout(() => resolve({ code, signal }), 500).unref();
    });
  });

  return {
    pid: child.pid,
    output: output.text,
    exited,
    isRunning: () => running,
    signal: (signal) => void child.kill(signal),
    end: async (signal = 'SIGTERM', graceMs = 5_000) => {
      if (running && child.pid !== undefined) signalGroup(child.pid, signal);
      const timer = setTimeout(() => child.pid !== undefined && signalGroup(child.pid, 'SIGKILL'), graceMs);
      const end = await exited;
      clearTimeout(timer);
      return end;
    },
  };
}

/**
 * Runs a command to its end.
 *
 * @param timeoutMs after which it is killed
 * @returns whether it exited with 0, and what it wrote
 */
export async function runToEnd(
  command: string,
  args: string[],
  timeoutMs: number,
  options: ProcessOptions = {},
): Promise<{ succeeded: boolean; output: string }> {
  const child = startProcess(command, args, options);
  const timer = setTimeout(() => void child.end('SIGKILL'), timeoutMs);
  const { code } = await child.exited;
  clearTimeout(timer);
  return { succeeded: code === 0, output: child.output() };
}

/** The last lines of an output, on one line, for a message. */
export function lastLines(output: string, count = 3): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-count).join(' / ') || 'it wrote nothing';
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // Gone already.
  }
}

function keepLines(limit: number): { add: (line: string) => void; text: () => string } {
  const lines: string[] = [];
  let size = 0;
  return {
    add: (line) => {
      lines.push(line);
      size += line.length + 1;
      while (size > limit && lines.length > 1) size -= (lines.shift()?.length ?? 0) + 1;
    },
    text: () => lines.join('\n'),
  };
}
