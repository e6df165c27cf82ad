import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { watchPath } from './watcher';

/**
 * Writes `export NAME='value'` lines for a shell to source, readable by their owner only.
 *
 * @returns removes the file, unless another lab has written its own over it
 */
export async function writeEnvFile(path: string, env: Record<string, string>): Promise<() => Promise<void>> {
  const text = Object.entries(env)
    .map(([name, value]) => `export ${name}=${shellQuoted(value)}\n`)
    .join('');
  await mkdir(dirname(path), { recursive: true });
  // A file that exists keeps its mode, whatever is asked for.
  await rm(path, { force: true });
  await writeFile(path, text, { mode: 0o600 });
  const remove = watchPath(path);
  return async () => {
    const now = await readFile(path, 'utf8').catch(() => undefined);
    if (now === text) await remove();
  };
}

/** Quoted for a POSIX shell. */
export function shellQuoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
