/**
 * The names that somebody who wrote `name` probably meant, most similar first: few typing errors apart, or the same name
 * with its folder left out (`app` for `database/app`).
 */
function similarNames(name: string, known: Iterable<string>, atMost = 3): string[] {
  const wanted = name.toLowerCase();
  const tolerance = Math.max(1, Math.min(3, Math.floor(name.length / 3)));
  return [...known]
    .map((candidate) => ({ candidate, distance: distanceBetween(wanted, candidate.toLowerCase(), tolerance) }))
    .filter(({ distance }) => distance <= tolerance)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, atMost)
    .map(({ candidate }) => candidate);
}

/** `; did you mean a, b or c?`, or nothing when nothing is similar. */
export function didYouMean(name: string, known: Iterable<string>, atMost?: number): string {
  const similar = similarNames(name, known, atMost);
  const last = similar.pop();
  if (last === undefined) return '';
  return `; did you mean ${similar.length > 0 ? `${similar.join(', ')} or ` : ''}${last}?`;
}

function distanceBetween(wanted: string, candidate: string, tolerance: number): number {
  if (candidate.endsWith(`/${wanted}`)) return tolerance;
  if (Math.abs(wanted.length - candidate.length) > tolerance) return Infinity;
  return editDistance(wanted, candidate);
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
