import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogJsonSchema } from './json-schema';

/** Run from dist/src/catalog: writes the schema to the project's root. */
writeFileSync(join(__dirname, '../../../keyturn.schema.json'), catalogJsonSchema());
