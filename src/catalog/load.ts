import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parseCatalog, type Catalog } from './catalog';
import { CatalogError } from './problems';

/** Room for well over 5,000 secrets whose dependents are written out. */
const LARGEST_FILE_BYTES = 8_388_608;

/**
 * Reads a catalog file.
 *
 * @param path relative paths start from the working directory.
 * @throws CatalogError when the file cannot be read or has mistakes; all of them are in it.
 */
export async function loadCatalog(path: string): Promise<Catalog> {
  return parseCatalog(path, await readText(path));
}

/** Where the catalog that is in force comes from. */
export interface CatalogSource {
  /** @throws CatalogError when the file cannot be read or has mistakes. */
  load(): Promise<Catalog>;
  /** The latest that could be read, for telling people that the file cannot be read any more; absent when none could. */
  lastRead(): Catalog | undefined;
}

const RUNNING_ROTATIONS =
  'Rotations that already run are not affected: each keeps the plan that it started with. New ones are refused until the file is corrected.';

/**
 * A catalog that is up to date whenever it is asked for, so that an edit applies to the next rotation without a restart. The
 * file is read each time and parsed only when its text has changed; times and sizes are not compared, because an edit within a
 * clock tick, a restored file or a remounted volume can leave them as they were.
 */
export function createCatalogSource(path: string): CatalogSource {
  let last: { text: string; catalog: Catalog } | undefined;
  return {
    async load() {
      const text = await readText(path, RUNNING_ROTATIONS);
      if (last?.text !== text) last = { text, catalog: parseCatalog(path, text, RUNNING_ROTATIONS) };
      return last.catalog;
    },
    lastRead: () => last?.catalog,
  };
}

async function readText(path: string, consequence?: string): Promise<string> {
  const refuse = (message: string) => new CatalogError(path, [{ path: '', message }], consequence);
  let bytes: Buffer;
  try {
    // Non-blocking, so that a named pipe is refused below instead of being waited for.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (stat.isDirectory()) throw refuse('is a directory: name the catalog file itself');
      if (!stat.isFile()) throw refuse('is not a regular file');
      if (stat.size > LARGEST_FILE_BYTES) {
        throw refuse(`has ${stat.size} bytes: a catalog has at most ${LARGEST_FILE_BYTES} (8 MiB)`);
      }
      bytes = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CatalogError) throw error;
    throw refuse(explainUnreadable(error));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('is not UTF-8 text');
  }
}

function explainUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') {
    return 'the file does not exist; KEYTURN_CATALOG names the catalog, keyturn.yaml in the working directory when unset';
  }
  if (code === 'EACCES' || code === 'EPERM') return 'the file may not be read by this user';
  return `the file cannot be read: ${message}`;
}
