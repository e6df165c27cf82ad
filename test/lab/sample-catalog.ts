import { readFile } from 'node:fs/promises';
import { projectFile } from './project';

/** Where the sample catalog looks for the service that issues its API keys. */
const SAMPLE_SERVICE = 'https://keys.example.com';
const SAMPLE_SCHEMA = './keyturn.schema.json';

/**
 * The text of keyturn.yaml with the address of a key service that there is: a catalog holds addresses itself, and the lab's service
 * listens on whatever port is free.
 */
export async function sampleCatalogFor(keyService: { url: string }): Promise<string> {
  const sample = await readFile(projectFile('keyturn.yaml'), 'utf8');
  const copy = sample
    .replaceAll(SAMPLE_SERVICE, keyService.url)
    .replace(SAMPLE_SCHEMA, projectFile('keyturn.schema.json'));
  return copy.replace(
    '\n',
    '\n#\n# This is a copy of the sample catalog for one lab, with the address of its key service. Its worker and its shell use this\n' +
      '# copy (KEYTURN_CATALOG). It goes when the lab ends.\n',
  );
}
