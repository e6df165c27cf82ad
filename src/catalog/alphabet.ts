const RANGE = /([A-Z])-([A-Z])|([a-z])-([a-z])|([0-9])-([0-9])/g;

/**
 * Expands the ranges of an alphabet as the catalog writes it: `'A-Za-f0-9!-'` means upper case, the letters a to f, digits, an
 * exclamation mark and a hyphen. A hyphen that is not between two letters of one case or two digits stands for itself.
 *
 * @returns each character once.
 */
export function expandAlphabet(written: string): string {
  const expanded = written.replace(RANGE, (range) => {
    const first = range.charCodeAt(0);
    const last = range.charCodeAt(2);
    return first > last ? range : String.fromCharCode(...Array.from({ length: last - first + 1 }, (_, i) => first + i));
  });
  return [...new Set(expanded)].join('');
}
