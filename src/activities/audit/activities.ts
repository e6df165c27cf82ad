import type { OperatorRequest } from '../../rotation/types';
import type { StepInput } from '../step-input';

/** What operators asked of a running rotation, in order, and whether it was done. */
export interface OperatorActsInput extends StepInput {
  acts: OperatorRequest[];
}

/** One such act, as rotations send it that began before there were batches. */
export interface OperatorActInput extends StepInput {
  act: OperatorRequest['request'];
  accepted: boolean;
  refused?: string;
}

/** The activities whose only purpose are their own audit records. */
export const OPERATOR_ACTS_ACTIVITY = 'recordOperatorActs';
export const OPERATOR_ACT_ACTIVITY = 'recordOperatorAct';

/**
 * The activities of the audit log itself. Workflows cannot write to it; they call `recordOperatorActs`, and the activity
 * boundary, which records every activity, records this one as the acts: a record each, with the outcome `accepted` or `refused`.
 */
export function createAuditActivities() {
  return {
    async [OPERATOR_ACTS_ACTIVITY](_input: OperatorActsInput): Promise<void> {},
    async [OPERATOR_ACT_ACTIVITY](_input: OperatorActInput): Promise<void> {},
  };
}
