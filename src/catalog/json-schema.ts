import { z } from 'zod';
import { catalogSchema } from './schema';

/**
 * The JSON Schema of the catalog, for editors that complete and check YAML. It is the older draft-07 because the YAML language
 * server understands that one fully.
 *
 * @returns the text of keyturn.schema.json.
 */
export function catalogJsonSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(catalogSchema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ $schema, title: 'Keyturn catalog', ...schema }, undefined, 2)}\n`;
}
