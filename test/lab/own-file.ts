import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { watchPath } from './watcher';

/**
 * Writes a file, readable by its owner only, that is gone when this process is.
 *
 * @returns removes the file, unless another lab has written its own over it
 */
export async function writeOwnFile(path: string, text: string): Promise<() => Promise<void>> {
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
