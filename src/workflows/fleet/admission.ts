import type { ApplicationFailure } from '@temporalio/workflow';
import { Cause } from '../../rotation/errors';
import { FLEET_TYPES } from '../../rotation/fleet';
import type { FleetInput } from '../../rotation/fleet';
import { causeOf, refuse, rotationRefused } from '../saga/failures';

const TEXTS = ['environment', 'reason', 'requestedBy'] as const;
const FLAGS = ['due', 'dryRun', 'emergency'] as const;
const OTHERS = ['types', 'concurrency'] as const;
const MAX_TEXT = 1_000;
const MOST_AT_ONCE = 100;

/** Lets a fleet begin. @throws RotationRefused for a malformed input. */
export function admitFleet(input: FleetInput): void {
  try {
    checkInput(input);
  } catch (error) {
    throw fleetRefused(typeof input?.environment === 'string' ? input.environment : '', error);
  }
}

export function fleetRefused(environment: string, error: unknown): ApplicationFailure {
  const name = environment ? `the environment ${environment}` : 'the environment';
  return rotationRefused(name, { step: '', cause: causeOf(error) });
}

/** Inputs also come by hand, from `temporal workflow start` and the web UI. */
function checkInput(input: FleetInput): void {
  const bad = (why: string) =>
    refuse(
      Cause.BadInput,
      `${why}; nothing was started. Expected for example {"environment": "dev", "types": ["all"]}.`,
    );
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw bad('the input is not one JSON object');
  }
  const known: readonly string[] = [...TEXTS, ...FLAGS, ...OTHERS];
  const unknown = Object.keys(input).find((key) => !known.includes(key));
  if (unknown !== undefined) throw bad(`the input has an unknown field ${unknown}`);
  for (const name of TEXTS) {
    const value: unknown = input[name];
    if (value === undefined && name !== 'environment') continue;
    if (typeof value !== 'string' || value.length > MAX_TEXT || (name === 'environment' && value === '')) {
      throw bad(`the input's field ${name} is ${value === undefined ? 'missing' : 'not a text of reasonable length'}`);
    }
  }
  for (const name of FLAGS) {
    if (input[name] !== undefined && typeof input[name] !== 'boolean') {
      throw bad(`the input's field ${name} is not true or false`);
    }
  }
  const { types, concurrency, due, emergency } = input;
  if (types !== undefined) {
    if (!Array.isArray(types) || types.length === 0)
      throw bad('the input\'s field types is not a list such as ["all"]');
    const stranger = types.find((type) => !FLEET_TYPES.includes(type));
    if (stranger !== undefined) {
      throw bad(`the input's types name ${JSON.stringify(stranger)}, which is none of ${FLEET_TYPES.join(', ')}`);
    }
  }
  if (concurrency !== undefined && (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MOST_AT_ONCE)) {
    throw bad(`the input's concurrency is not a whole number from 1 to ${MOST_AT_ONCE}`);
  }
  if (due && emergency) throw bad('an emergency asks for everything, and due only for what is old: give one of them');
}
