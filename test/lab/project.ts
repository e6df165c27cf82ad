import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The checkout's root, whether this runs from its sources (jest) or from dist. */
export const PROJECT_ROOT = nearestFolderWith('package.json', __dirname);

export function projectFile(...path: string[]): string {
  return join(PROJECT_ROOT, ...path);
}

function nearestFolderWith(file: string, folder: string): string {
  if (existsSync(join(folder, file))) return folder;
  if (dirname(folder) === folder) throw new Error(`There is no ${file} above ${__dirname}.`);
  return nearestFolderWith(file, dirname(folder));
}
