import { mkdir, mkdtemp, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

const DATA = '..data';
const NEXT_DATA = '..data_tmp';

/**
 * Puts the keys of a Secret into a folder as files, all of them at once, the way a kubelet does: the files are in a folder with a time in
 * its name, the symlink `..data` leads to that folder and is replaced by a rename, and the symlinks that an application opens lead through
 * `..data`. The folder before is removed at once. One call at a time.
 *
 * @param data as the API server has it, in base64
 */
export async function projectSecret(folder: string, data: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const before = await readlink(join(folder, DATA)).catch(() => undefined);
  const files = await mkdtemp(join(folder, `..${new Date().toISOString().replace(/\W/g, '_')}.`));
  for (const [key, value] of Object.entries(data)) {
    await writeFile(join(files, key), Buffer.from(value, 'base64'), { mode: 0o400 });
  }
  await symlink(basename(files), join(folder, NEXT_DATA));
  await rename(join(folder, NEXT_DATA), join(folder, DATA));

  const shown = (await readdir(folder)).filter((name) => !name.startsWith('..'));
  for (const key of Object.keys(data)) {
    if (!shown.includes(key)) await symlink(join(DATA, key), join(folder, key));
  }
  for (const key of shown) if (!(key in data)) await rm(join(folder, key));
  if (before !== undefined) await rm(join(folder, before), { recursive: true });
}
