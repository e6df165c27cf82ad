import type { Info } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { AuditEntry } from '../audit/audit-log';
import { OPERATOR_ACTS_ACTIVITY, OPERATOR_ACT_ACTIVITY } from '../audit/activities';
import type { OperatorActInput, OperatorActsInput } from '../audit/activities';
import { errorClass, outsideCalls } from './activity-scope';

/** What the record of every activity says, before anything is known of how it went. */
export type ActivityIdentity = Omit<AuditEntry, 'outcome' | 'outsideCalls' | 'durationMs' | 'result' | 'failure'>;

/** Reads it from the activity's info and its one argument, a StepInput. */
export function identityOf(info: Info, input: unknown): ActivityIdentity {
  const { workflowExecution } = info;
  return {
    who: textField(input, 'requestedBy') ?? 'unknown',
    what: info.activityType,
    step: textField(input, 'step'),
    secretId: textField(input, 'secretId'),
    versionId: textField(input, 'versionId'),
    reason: textField(input, 'reason'),
    workflow: workflowExecution && {
      id: workflowExecution.workflowId,
      runId: workflowExecution.runId,
      type: info.workflowType,
    },
    activity: {
      type: info.activityType,
      id: info.activityId,
      attempt: info.attempt,
      local: info.isLocal,
      taskQueue: info.taskQueue,
    },
    input,
  };
}

export function startedEntry(identity: ActivityIdentity): AuditEntry {
  return { ...identity, outcome: 'started' };
}

export function succeededEntry(identity: ActivityIdentity, result: unknown, durationMs: number): AuditEntry {
  const versionId = identity.versionId ?? textField(result, 'versionId');
  return { ...identity, outcome: 'succeeded', versionId, outsideCalls: outsideCalls(), durationMs, result };
}

/** @param error one that may leave the activity; see safeFailure. */
export function failedEntry(identity: ActivityIdentity, error: Error, durationMs: number): AuditEntry {
  const type = (error instanceof ApplicationFailure && error.type) || errorClass(error);
  const failure = { type, message: error.message };
  return { ...identity, outcome: 'failed', outsideCalls: outsideCalls(), durationMs, failure };
}

/** The records of operators' acts, one each, or `undefined` when the activity is another. */
export function operatorActEntries(identity: ActivityIdentity): AuditEntry[] | undefined {
  if (identity.activity.type === OPERATOR_ACT_ACTIVITY) {
    const { act, accepted } = identity.input as OperatorActInput;
    return [{ ...identity, what: act, outcome: accepted ? 'accepted' : 'refused' }];
  }
  if (identity.activity.type !== OPERATOR_ACTS_ACTIVITY) return undefined;
  const { acts } = identity.input as OperatorActsInput;
  return acts.map((act) => ({
    ...identity,
    who: act.requestedBy ?? 'unknown',
    what: act.request,
    step: act.request,
    reason: act.reason,
    outcome: act.refused === undefined ? 'accepted' : 'refused',
    input: act,
  }));
}

/** For messages: `setPassword of prod/database/app`. */
export function stepName({ activity, secretId }: ActivityIdentity): string {
  return secretId ? `${activity.type} of ${secretId}` : activity.type;
}

function textField(from: unknown, field: string): string | undefined {
  if (typeof from !== 'object' || from === null) return undefined;
  const value = (from as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
