import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../../src/catalog';

/** Stands in a catalog where its mistake is to be shown. */
const MARK = '▸';

/** A mistake: what it is, the catalog with a mark at each place, and what is said of each; of the first when there are fewer marks. */
export type Mistake = [title: string, marked: string, ...messages: string[]];

/** A catalog whose environment dev has this secret, or these. */
export function dev(secret: string): string {
  return `environments:\n  dev:\n    secrets:\n      ${secret}\n`;
}

/** The lines that the operator sees of a catalog with mistakes, without the heading and the folder. */
export async function seen(text: string | Buffer): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-catalog-'));
  try {
    const file = join(folder, 'keyturn.yaml');
    await writeFile(file, text);
    const message = await loadCatalog(file).then(
      () => 'no mistake',
      (error: Error) => error.message,
    );
    return message.replaceAll(`${folder}/`, '').split('\n').slice(1);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A test that the mistake is shown where it is, and nothing else. */
export function shown([title, marked, ...messages]: Mistake): void {
  test(title, async () => {
    const { text, places } = unmark(marked);
    expect(await seen(text)).toEqual(
      messages.map((message, index) => `keyturn.yaml:${places[index] ?? places[0]}${message}`),
    );
  });
}

/** The places of the marks as `line:column`, and the text without them. */
function unmark(marked: string): { text: string; places: string[] } {
  const parts = marked.split(MARK);
  const places = parts.slice(1).map((_, index) => {
    const lines = parts
      .slice(0, index + 1)
      .join('')
      .split('\n');
    return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
  });
  return { text: parts.join(''), places };
}
