import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, TimeoutFailure } from '@temporalio/workflow';
import { Cause, RotationFailure } from '../../rotation/errors';
import type {
  AGE_CHECK_FAILED,
  BackupFailure,
  CauseDetails,
  REVIEW_FAILED,
  RefusedDetails,
  RetirementIncompleteDetails,
  RollbackIncompleteDetails,
  RolledBackDetails,
  USAGE_REFUSED,
} from '../../rotation/errors';
import { PartsFailed } from './parts-failed';
import type { FailedPart } from './parts-failed';

/** What lies at the bottom of a failure: the activity's own words where there are some. */
export function causeOf(error: unknown): CauseDetails {
  if (error instanceof PartsFailed) return error.asOne;
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return causeOf(error.cause);
  if (error instanceof TimeoutFailure) {
    // After a time-out the last attempt's failure says more than that time ran out.
    if (error.cause) return causeOf(error.cause);
    return { type: Cause.TargetUnavailable, message: `no answer in time (${error.timeoutType})` };
  }
  if (error instanceof ApplicationFailure) return { type: error.type ?? Cause.Unexpected, message: error.message };
  return { type: Cause.Unexpected, message: error instanceof Error ? error.message : 'unknown failure' };
}

/** The same of each thing that failed. */
export function partsOf(error: unknown): readonly FailedPart[] {
  return error instanceof PartsFailed ? error.parts : [{ cause: causeOf(error) }];
}

/** A refusal with a message of its own, before any activity. */
export function refuse(cause: Cause, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, cause);
}

/** @param cleanedUp what a terminated rotation had left was put in order before. */
export function rotationRefused(secretId: string, details: RefusedDetails, cleanedUp = false): ApplicationFailure {
  return ApplicationFailure.create({
    type: RotationFailure.RotationRefused,
    message: `${secretId} was not rotated, and nothing was changed${cleanedUp ? ', except that the leftovers of a terminated rotation were cleaned up' : ''}: ${details.cause.message}`,
    nonRetryable: true,
    details: [details],
  });
}

export function rotationRolledBack(secretId: string, details: RolledBackDetails): ApplicationFailure {
  return ApplicationFailure.create({
    type: RotationFailure.RotationRolledBack,
    message: `${secretId} was not rotated, and what was done is undone. ${details.step} failed: ${withWarnings(details.cause.message, details)}`,
    nonRetryable: true,
    details: [details],
  });
}

export function rollbackIncomplete(secretId: string, details: RollbackIncompleteDetails): ApplicationFailure {
  return ApplicationFailure.create({
    type: RotationFailure.RollbackIncomplete,
    message: `${secretId} could not be rolled back completely after ${details.step} (${details.cause.message}). Left to do by hand: ${withWarnings(todo(details.leftToDo), details)}`,
    nonRetryable: true,
    details: [details],
  });
}

/** @param promoted the new version is AWSCURRENT. */
export function retirementIncomplete(
  secretId: string,
  details: RetirementIncompleteDetails,
  promoted: boolean,
): ApplicationFailure {
  const where = promoted
    ? 'was rotated and the new version is in use, but the old one could not be retired'
    : 'is past the point of no return, but the new version could not be brought into use';
  return ApplicationFailure.create({
    type: RotationFailure.RetirementIncomplete,
    message: `${secretId} ${where}. Left to do by hand: ${todo(details.leftToDo)}`,
    nonRetryable: true,
    details: [details],
  });
}

function withWarnings(sentence: string, { warnings = [] }: RolledBackDetails): string {
  if (warnings.length === 0) return sentence;
  return [sentence.endsWith('.') ? sentence : `${sentence}.`, ...warnings].join(' ');
}

function todo(left: RollbackIncompleteDetails['leftToDo']): string {
  return left.map((item) => `${item.todo} (${item.cause.message})`).join('; ');
}

/** How what is no rotation fails, in the words of its cause. */
export function environmentFailed(
  type: BackupFailure | typeof AGE_CHECK_FAILED | typeof REVIEW_FAILED | typeof USAGE_REFUSED,
  step: string,
  cause: CauseDetails,
): ApplicationFailure {
  return ApplicationFailure.create({ type, message: cause.message, nonRetryable: true, details: [{ step, cause }] });
}
