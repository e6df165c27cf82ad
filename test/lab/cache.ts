import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { watchPath } from './watcher';

/** Longer than the longest build; after it the lock is taken for abandoned. */
const LONGEST_BUILD_MS = 60 * 60_000;

/** Where built parts are kept: `KEYTURN_CACHE_DIR`, else `keyturn` in the user's cache folder. Never in the checkout. */
function cacheFolder(): string {
  const { KEYTURN_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  if (KEYTURN_CACHE_DIR) return resolve(KEYTURN_CACHE_DIR);
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'keyturn');
}

/** The path of a finished entry, or `undefined`. */
export function cachedEntry(name: string): string | undefined {
  const entry = join(cacheFolder(), name);
  return existsSync(entry) ? entry : undefined;
}

/**
 * The cached folder of that name, built first if it is missing. A build that fails or is killed leaves nothing; two at the same
 * time build once.
 *
 * @param build fills the folder it is given, which is then moved into place: nothing in it may depend on its own path
 */
export async function cacheEntry(
  name: string,
  build: (folder: string) => Promise<void>,
  onWait: () => void,
): Promise<string> {
  const entry = join(cacheFolder(), name);
  if (existsSync(entry)) return entry;
  await mkdir(cacheFolder(), { recursive: true });
  const unlock = await lock(`${entry}.lock`, onWait);
  try {
    if (!existsSync(entry)) await buildInto(entry, build);
    return entry;
  } finally {
    await unlock();
  }
}

async function buildInto(entry: string, build: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(`${entry}.building-`);
  const removeFolder = watchPath(folder);
  try {
    await build(folder);
    await rename(folder, entry);
  } catch (error) {
    if (!existsSync(entry)) throw error;
  } finally {
    await removeFolder();
  }
}

/** The lock only saves a second build: the rename is what makes an entry whole. So taking over a dead holder's may be simple. */
async function lock(path: string, onWait: () => void): Promise<() => Promise<void>> {
  const deadline = Date.now() + LONGEST_BUILD_MS;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const file = await open(path, 'wx');
      const unlock = watchPath(path);
      await file.writeFile(String(process.pid));
      await file.close();
      return unlock;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (attempt === 1) onWait();
    await delay(250);
    if (Date.now() > deadline || (await holderIsGone(path))) await rm(path, { force: true });
  }
}

async function holderIsGone(path: string): Promise<boolean> {
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  // An empty file: its holder is about to write its number.
  if (!holder) return false;
  try {
    process.kill(holder, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
