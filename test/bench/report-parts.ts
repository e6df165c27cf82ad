export const one = (value: number): string => value.toFixed(1);
export const two = (value: number): string => value.toFixed(2);

/** A title, and below it a body that is set in. */
export function section(title: string, body: string): string {
  return `${title}\n${body.replace(/^/gm, '  ')}`;
}
