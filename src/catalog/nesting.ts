import type { CST } from 'yaml';

/**
 * How deeply mappings and lists are nested in a YAML text. It is counted on the syntax tree and without recursion, because
 * composing a text that is nested some thousand times exhausts the stack and can end the process.
 */
export function nestingOf(tokens: readonly CST.Token[]): number {
  let deepest = 0;
  const open = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    deepest = Math.max(deepest, next.depth);
    for (const token of childrenOf(next.token)) open.push({ token, depth: next.depth + 1 });
  }
  return deepest;
}

function childrenOf(token: CST.Token): CST.Token[] {
  if (token.type === 'document') return token.value ? [token.value] : [];
  if (!('items' in token)) return [];
  return token.items.flatMap((item) => [item.key, item.value]).filter((child) => child !== undefined && child !== null);
}
