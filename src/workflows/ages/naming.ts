import type { SecretAgeEntry } from '../../rotation/ages';
import { formatDuration } from '../../rotation/durations';

/** How many a notification names of each kind. */
const NAMED = 5;

/** The first few, and how many more there are. */
export function named<T>(first: readonly T[], total: number, nameOf: (item: T) => string): string {
  const names = first.slice(0, NAMED).map(nameOf);
  const more = total - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Overdue secrets, with how old they are and how old they may be. */
export function namedOverdue(first: readonly SecretAgeEntry[], total: number): string {
  const now = Date.now();
  return named(first, total, ({ secret, type, since = '', limitMs }) => {
    const age = formatDuration(now - Date.parse(since));
    const undeclared = type === undefined ? ', not in the catalog' : '';
    return `${secret} (${age} old, may be ${formatDuration(limitMs)}${undeclared})`;
  });
}
