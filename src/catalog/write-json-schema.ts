import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogJsonSchema } from './json-schema';
import { catalogReference } from './reference';

const ROOT = join(__dirname, '../../..');

/** Run from dist/src/catalog: writes the schema to the project's root, and the reference for people to docs. */
writeFileSync(join(ROOT, 'keyturn.schema.json'), catalogJsonSchema());
writeFileSync(join(ROOT, 'docs', 'catalog.md'), catalogReference());
