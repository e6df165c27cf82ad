import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheEntry, cachedEntry } from './cache';
import { onPath } from './executables';
import { PartUnavailable, secondsSince, type Report } from './part';
import { lastLines, runToEnd } from './processes';

const VENV_ENDS_MS = 10 * 60_000;

/** A Python virtual environment of the cache. */
export interface VirtualEnvironment {
  /** Its entry in the cache, which names the versions of all in it that matter. */
  name: string;
  /** As pip takes them, pinned. */
  packages: string[];
}

/** Why this machine cannot have a program that is written in Python, as far as that can be said at once. */
export function pythonUnavailable(part: string, environment: VirtualEnvironment): PartUnavailable | undefined {
  if (python() !== undefined || cachedEntry(environment.name) !== undefined) return undefined;
  return new PartUnavailable(part, 'there is no python3 on PATH', 'install Python, version 3.10 or later, with venv');
}

/**
 * The Python of a virtual environment: cached, else made and filled. Its programs are started as modules: their scripts hold the path
 * that it was made under.
 *
 * @throws Error that says in half a sentence why there is none
 */
export async function pythonOf(environment: VirtualEnvironment, report: Report): Promise<string> {
  const venv = await cacheEntry(
    environment.name,
    (folder) => makeVirtualEnvironment(environment, folder, report),
    () => report(`waiting for another lab that is installing ${environment.packages.join(' and ')}`),
  );
  return join(venv, 'bin', 'python');
}

/** This process's environment without settings that would make Python look outside a virtual environment. */
export function withoutPythonSettings(): NodeJS.ProcessEnv {
  const { PYTHONHOME: _home, PYTHONPATH: _path, VIRTUAL_ENV: _venv, ...env } = process.env;
  return env;
}

function python(): string | undefined {
  return onPath('python3') ?? onPath('python');
}

async function makeVirtualEnvironment({ packages }: VirtualEnvironment, folder: string, report: Report): Promise<void> {
  const startedAt = Date.now();
  const program = python();
  if (program === undefined) throw new Error('there is no python3 on PATH');
  report(`installing ${packages.join(' and ')} in a Python virtual environment (once)`);
  const venv = await runToEnd(program, ['-m', 'venv', folder], VENV_ENDS_MS, { env: withoutPythonSettings() });
  const venvPython = join(folder, 'bin', 'python');
  if (!venv.succeeded || !existsSync(venvPython)) {
    throw new Error(`${program} cannot make a virtual environment (${lastLines(venv.output, 1)})`);
  }
  const installed = await runToEnd(
    venvPython,
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages],
    VENV_ENDS_MS,
    { env: withoutPythonSettings() },
  );
  if (!installed.succeeded) {
    throw new Error(`pip cannot install ${packages.join(' and ')} (${lastLines(installed.output, 1)})`);
  }
  report(`installed ${packages.join(' and ')} in ${secondsSince(startedAt)}`);
}
