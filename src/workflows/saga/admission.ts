import { workflowInfo } from '@temporalio/workflow';
import { LONGEST_GRACE_PERIOD_MS, parseDuration } from '../../rotation/durations';
import { Cause } from '../../rotation/errors';
import { rotationWorkflowId, secretIdOf } from '../../rotation/names';
import { VERSION_ID } from '../../rotation/types';
import type { RotationInput } from '../../rotation/types';
import { causeOf, refuse, rotationRefused } from './failures';

const TEXTS = ['environment', 'secret', 'reason', 'requestedBy', 'gracePeriod', 'versionId'] as const;
const FLAGS = ['dryRun', 'emergency'] as const;
const MAX_TEXT = 1_000;

/** Lets a rotation begin. @throws RotationRefused for a malformed input or a workflow ID that is not this secret's. */
export function admit(input: RotationInput): void {
  try {
    checkInput(input);
    checkWorkflowId(input);
  } catch (error) {
    throw rotationRefused(nameOf(input), { step: '', cause: causeOf(error) });
  }
}

/** The same for the front door, which runs under any ID but a rotation's own. */
export function admitFrontDoor(input: RotationInput): void {
  const secretId = nameOf(input);
  try {
    checkInput(input);
    const own = rotationWorkflowId(input.environment, input.secret);
    if (workflowInfo().workflowId === own) {
      throw refuse(
        Cause.WrongWorkflowId,
        `rotate starts the rotation under the workflow ID ${own}, and so cannot run under it itself; nothing was touched. Start it under any other ID.`,
      );
    }
  } catch (error) {
    throw rotationRefused(secretId, { step: '', cause: causeOf(error) });
  }
}

function nameOf(input: RotationInput): string {
  const named = typeof input?.environment === 'string' && typeof input.secret === 'string';
  return named ? secretIdOf(input.environment, input.secret) : 'the secret';
}

/** Inputs also come by hand, from `temporal workflow start` and the web UI. */
function checkInput(input: RotationInput): void {
  const bad = (why: string) =>
    refuse(
      Cause.BadInput,
      `${why}; nothing was started. Expected for example {"environment": "dev", "secret": "database/app"}.`,
    );
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw bad('the input is not one JSON object');
  const unknown = Object.keys(input).find((key) => ![...TEXTS, ...FLAGS].some((known) => known === key));
  if (unknown !== undefined) throw bad(`the input has an unknown field ${unknown}`);
  for (const name of TEXTS) {
    const value: unknown = input[name];
    const required = name === 'environment' || name === 'secret';
    if (value === undefined && !required) continue;
    if (typeof value !== 'string' || value.length > MAX_TEXT || (required && value.length === 0)) {
      throw bad(`the input's field ${name} is ${value === undefined ? 'missing' : 'not a text of reasonable length'}`);
    }
  }
  for (const name of FLAGS) {
    if (input[name] !== undefined && typeof input[name] !== 'boolean')
      throw bad(`the input's field ${name} is not true or false`);
  }
  if (input.versionId !== undefined && !VERSION_ID.test(input.versionId)) {
    throw bad(`the input's versionId is not 32 to 64 letters, digits, dots, hyphens or underscores`);
  }
  if (input.gracePeriod !== undefined) {
    const grace = parseDuration(input.gracePeriod);
    if (grace === undefined) throw bad(`the input's gracePeriod is not a duration such as '7 days'`);
    if (grace > LONGEST_GRACE_PERIOD_MS) throw bad(`the input's gracePeriod is longer than 365 days`);
  }
}

/** One rotation per secret is held by the workflow ID; under any other ID it would be a second one. */
function checkWorkflowId(input: RotationInput): void {
  const { workflowId, workflowType, taskQueue } = workflowInfo();
  const expected = rotationWorkflowId(input.environment, input.secret);
  if (workflowId === expected) return;
  throw refuse(
    Cause.WrongWorkflowId,
    `a rotation of ${input.environment}/${input.secret} runs under the workflow ID ${expected} and no other; nothing was touched. Start it with: temporal workflow start --task-queue ${taskQueue} --type ${workflowType} --workflow-id ${quoted(expected)} --input ${quoted(JSON.stringify(input))}`,
  );
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll(`'`, `'\\''`)}'`;
}
