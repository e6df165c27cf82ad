import { Cause } from '../../rotation/errors';
import { refuse } from './failures';

const MAX_TEXT = 1_000;

/**
 * Inputs also come by hand, from `temporal workflow start` and the web UI.
 *
 * @param texts the fields that are texts; of these `environment` and those in `required` must be there.
 * @param others the other fields that there may be.
 * @throws BadInput
 */
export function checkEnvironmentInput(
  input: { environment: string },
  texts: readonly string[],
  { required = [], others = [] }: { required?: readonly string[]; others?: readonly string[] } = {},
): void {
  const bad = (why: string) => refuse(Cause.BadInput, `${why}; nothing was started.`);
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw bad('the input is not one JSON object');
  const unknown = Object.keys(input).find((key) => !texts.includes(key) && !others.includes(key));
  if (unknown !== undefined) throw bad(`the input has an unknown field ${unknown}`);
  for (const name of texts) {
    const value = (input as Record<string, unknown>)[name];
    const needed = name === 'environment' || required.includes(name);
    if (value === undefined && !needed) continue;
    if (typeof value !== 'string' || value.length > MAX_TEXT || value.length === 0) {
      throw bad(`the input's field ${name} is ${value === undefined ? 'missing' : 'not a text of reasonable length'}`);
    }
  }
}
