import { quoted } from './problems';
import { didYouMean } from './similar-names';

/** The names of the IANA time zone database that this Node.js knows, without their aliases. */
const canonicalZones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone')];

/**
 * What is wrong with the name of a time zone, if anything. Upper and lower case count, because they do where Temporal looks
 * the name up; offsets such as `+02:00` are no names.
 */
export function timeZoneProblem(name: string): string | undefined {
  const known = canonicalZones();
  if (known.includes(name)) return undefined;
  const other = known.find((zone) => zone.toLowerCase() === name.toLowerCase());
  if (other === undefined && isAlias(name)) return undefined;
  const hint = other === undefined ? didYouMean(name, known, 1) : `; did you mean ${other}?`;
  return `${quoted(name)} is not a time zone${hint || ': write its name as the IANA database has it, such as Europe/Berlin or UTC'}`;
}

function isAlias(name: string): boolean {
  if (!/^[A-Z][\w+-]*(\/[A-Z][\w+-]*)*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
