import {
  Composer,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  visit,
  type CST,
  type Document,
  type ErrorCode,
  type Node,
  type Pair,
  type YAMLError,
  YAMLParseError,
} from 'yaml';
import { nestingOf } from './nesting';
import { formatPath, type CatalogProblem } from './problems';

/** More uses of anchors than any catalog needs, and far fewer than it takes to fill the memory. */
const MOST_ALIASES = 1_000;
/** A catalog needs nine. */
const DEEPEST_NESTING = 50;

/** A YAML text that could be read, and where its parts are. */
export interface CatalogDocument {
  /** Plain objects, lists and scalars. */
  value: unknown;
  /** A problem with the value at `path`, or with its key, placed where the catalog says it. */
  problemAt(path: readonly PropertyKey[], message: string, what?: 'key' | 'value'): CatalogProblem;
}

/** Reads one YAML 1.2 document. A text that is no such thing comes back as its problems. */
export function readDocument(text: string): { document: CatalogDocument } | { problems: CatalogProblem[] } {
  const lines = new LineCounter();
  const placed = (offset: number, path: readonly PropertyKey[], message: string): CatalogProblem => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col, path: formatPath(path), message };
  };
  const unreadable = (message: string) => ({ problems: [{ line: 1, column: 1, path: '', message }] });

  // Read once and composed afterwards: of a catalog with thousands of secrets, reading is the larger part.
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  if (nestingOf(tokens) > DEEPEST_NESTING) return unreadable('the file is nested too deeply to be a catalog');
  try {
    const yaml = compose(tokens, text.length);
    const errors = [...yaml.errors, ...yaml.warnings];
    const syntax = errors.map((error) => placed(error.pos[0], [], explain(error)));
    const oddities = findOddities(yaml).map(({ node, path, message }) => placed(offsetOf(node), path, message));
    if (syntax.length + oddities.length > 0) return { problems: [...syntax, ...oddities] };
    if (yaml.contents === null || (isScalar(yaml.contents) && yaml.contents.value === null)) {
      return unreadable('the file is empty: it must hold a mapping with the key environments');
    }
    const problemAt: CatalogDocument['problemAt'] = (path, message, what = 'value') =>
      placed(locate(yaml, path, what), path, message);
    return { document: { value: yaml.toJS({ maxAliasCount: MOST_ALIASES }), problemAt } };
  } catch (error) {
    if (error instanceof ReferenceError) {
      return unreadable(
        'the file uses anchors and aliases (& and *) too often or inside themselves: write the values out',
      );
    }
    throw error;
  }
}

/** The first document; that there is a second one is one of its errors. */
function compose(tokens: readonly CST.Token[], length: number): Document.Parsed {
  // uniqueKeys is left to findOddities, which takes linear time.
  const composer = new Composer({ stringKeys: true, uniqueKeys: false });
  const [first, second] = composer.compose(tokens, true, length);
  if (!first) throw new Error('the composer was told to make a document of any text, and made none');
  if (second) first.errors.push(new YAMLParseError([second.range[0], second.range[1]], 'MULTIPLE_DOCS', ''));
  return first;
}

const SYNTAX: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: 'a tab is used for indentation: YAML allows only spaces',
  MULTIPLE_DOCS: 'a second YAML document starts here: a catalog is one document, remove the line ---',
  NON_STRING_KEY: 'a key must be text',
};

function explain(error: YAMLError): string {
  return SYNTAX[error.code] ?? `is not valid YAML: ${error.message}`;
}

interface Oddity {
  node: Node;
  path: PropertyKey[];
  message: string;
}

/** Finds what YAML allows and a catalog does not, and keys that are written twice. */
function findOddities(yaml: Document): Oddity[] {
  const found: Oddity[] = [];
  visit(yaml, {
    Alias: (_, alias, ancestors) => {
      if (alias.resolve(yaml)) return;
      const message = `no anchor &${alias.source} is set before the alias *${alias.source}`;
      found.push({ node: alias, path: pathOf([...ancestors, alias]), message });
    },
    Map: (_, map, ancestors) => {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const message = explainKey(keyOf(pair), seen);
        if (message && isNode(pair.key))
          found.push({ node: pair.key, path: pathOf([...ancestors, map, pair]), message });
        seen.add(keyOf(pair));
      }
    },
  });
  return found;
}

function explainKey(key: string, seen: ReadonlySet<string>): string | undefined {
  if (key === '__proto__') return 'cannot be a name';
  if (key === '<<') return 'merge keys are not supported: write the values out';
  return seen.has(key) ? 'the key is written twice in the same mapping: keep one of them' : undefined;
}

function pathOf(chain: readonly unknown[]): PropertyKey[] {
  return chain.flatMap((part, position): PropertyKey[] => {
    if (isPair(part)) return [keyOf(part)];
    return isSeq(part) ? [part.items.indexOf(chain[position + 1])] : [];
  });
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** The offset of the value at `path`, or of its key; of the closest thing around it when it is not there. */
function locate(yaml: Document, path: readonly PropertyKey[], what: 'key' | 'value'): number {
  let node: unknown = yaml.contents;
  let offset = 0;
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(yaml);
    if (!isCollection(node)) return offset;
    const child: unknown = isMap(node)
      ? node.items.find((pair) => keyOf(pair) === String(part))
      : node.items[Number(part)];
    if (child === undefined) return offset;
    const key = isPair(child) ? child.key : child;
    node = isPair(child) ? child.value : child;
    const last = depth === path.length - 1;
    const shown = last && what === 'value' && isNode(node) && !isCollection(node) ? node : key;
    if (isNode(shown)) offset = shown.range?.[0] ?? offset;
  }
  return offset;
}
