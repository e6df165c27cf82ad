import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { runToEnd } from '../lab/processes';

const LOOK_EVERY_MS = 200;
const SETTLED_AFTER_MS = 5_000;

/** Resident set size of the worker's process, in MiB. */
export interface Memory {
  idle: number;
  /** The highest that was seen while a hundred rotations ran at once. */
  underLoad: number;
  /** Some seconds after. */
  after: number;
}

/** Watches a worker; begin while it is idle. */
export async function watchMemory(pid: number) {
  const idle = await residentMiB(pid);
  let underLoad = idle;
  return {
    async during(work: () => Promise<void>): Promise<void> {
      underLoad = Math.max(underLoad, await highestMiB(pid, work));
    },
    async end(): Promise<Memory> {
      return { idle, underLoad, after: await settledMiB(pid) };
    },
  };
}

/** The highest that is seen while `work` runs. */
export async function highestMiB(pid: number, work: () => Promise<unknown>): Promise<number> {
  const [highest = 0] = await highestOfEach([pid], work);
  return highest;
}

/** The same of several processes. */
export async function highestOfEach(pids: readonly number[], work: () => Promise<unknown>): Promise<number[]> {
  const done = new AbortController();
  const highest = pids.map(() => 0);
  const watching = (async () => {
    while (!done.signal.aborted) {
      for (const [n, pid] of pids.entries()) highest[n] = Math.max(highest[n] ?? 0, await residentMiB(pid));
      await delay(LOOK_EVERY_MS);
    }
  })();
  try {
    await work();
  } finally {
    done.abort();
    await watching;
  }
  return highest;
}

/** Some seconds after a load. */
export async function settledMiB(pid: number): Promise<number> {
  await delay(SETTLED_AFTER_MS);
  return residentMiB(pid);
}

/** Resident set size of a process; from /proc where there is one, else from `ps`. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  const kib = status
    ? /^VmRSS:\s+(\d+)/m.exec(status)?.[1]
    : (await runToEnd('ps', ['-o', 'rss=', '-p', `${pid}`], 5_000)).output;
  return Number(kib ?? Number.NaN) / 1_024;
}
