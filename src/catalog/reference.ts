import { catalogJsonSchema } from './json-schema';

/** What is used of a JSON Schema. */
interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
}

const INTRODUCTION = `# The catalog, field by field

Made from the schema by \`npm run schema\`; an edit here is lost. [keyturn.yaml](../keyturn.yaml) is a sample, and
[keyturn.schema.json](../keyturn.schema.json) has editors complete and check what you write. Fields in **bold** are required, unknown ones
are refused.
`;

/** @returns the text of docs/catalog.md: a section for each kind of object, in the order in which they are met. */
export function catalogReference(): string {
  const reference = new Reference();
  reference.sectionFor(JSON.parse(catalogJsonSchema()) as Schema, 'The file');
  return [INTRODUCTION, ...reference.sections()].join('\n');
}

/** An object that occurs in several places has one section, named after the first. */
class Reference {
  private readonly titles = new Map<string, string>();
  private readonly texts = new Map<string, string>();

  sections(): string[] {
    return [...this.texts].map(([title, text]) => `## ${title}\n\n${text}`);
  }

  /** @returns the title of the object's section, which is written when there is none yet. */
  sectionFor(schema: Schema, path: string): string {
    const identity = JSON.stringify({ ...schema, description: undefined });
    const known = this.titles.get(identity);
    if (known !== undefined) return known;
    if (this.texts.has(path)) throw new Error(`two kinds of objects would have the section ${path}`);
    this.titles.set(identity, path);
    this.texts.set(path, '');
    const inside = path === 'The file' ? '' : `${path.replace(/ with .*/, '')}.`;
    const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => {
      const shown = schema.required?.includes(name) ? `**\`${name}\`**` : `\`${name}\``;
      return `| ${shown} | ${cell(this.valueOf(field, inside + name))} | ${cell(field.description ?? '')} |`;
    });
    this.texts.set(path, ['| field | value | |', '|---|---|---|', ...rows, ''].join('\n'));
    return path;
  }

  /** What may stand there, in words. */
  private valueOf(schema: Schema, path: string): string {
    const alternatives = schema.oneOf ?? schema.anyOf;
    if (alternatives) return alternatives.map((one) => this.valueOf(one, path)).join(', or ');
    if (schema.const !== undefined) return code(schema.const);
    if (schema.enum) return schema.enum.map(code).join(', ');
    if (schema.items) return `a list: ${this.valueOf(schema.items, path)}`;
    if (schema.properties) return link(this.sectionFor(schema, path + variantOf(schema)));
    if (typeof schema.additionalProperties === 'object') {
      return `by name: ${this.valueOf(schema.additionalProperties, `${path}.NAME`)}`;
    }
    return scalar(schema);
  }
}

/** What tells one form of an object from the others in its place. */
function variantOf({ properties = {} }: Schema): string {
  const fixed = Object.entries(properties).flatMap(([name, field]) =>
    field.const === undefined ? [] : [`${name}: ${String(field.const)}`],
  );
  return fixed.length > 0 ? ` with ${fixed.join(', ')}` : '';
}

function scalar({ type, examples, minimum, maximum }: Schema): string {
  if (type === undefined) return 'anything';
  if (type === 'boolean') return '`true`, `false`';
  const words = type === 'integer' ? 'a whole number' : type === 'number' ? 'a number' : 'a text';
  if (minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) {
    return `${words}, ${minimum} to ${maximum}`;
  }
  return examples?.length ? `such as ${examples.map(code).join(', ')}` : words;
}

const code = (value: unknown) => `\`${String(value)}\``;

/** A bar would end the cell. */
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** To a heading, by the anchor that GitHub gives it. */
function link(title: string): string {
  const anchor = title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
  return `[${title}](#${anchor})`;
}
