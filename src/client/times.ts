import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../rotation/durations';

/** Reads an option that is an ISO 8601 time or how long ago, such as `'2 days'`. @throws InvalidArgumentError */
export function readPastTime(text: string): Date {
  const ago = parseDuration(text);
  const time = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (Number.isNaN(time)) throw new InvalidArgumentError("Expected an ISO 8601 time or a duration such as '2 days'.");
  return new Date(time);
}
