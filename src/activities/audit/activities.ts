import type { StepInput } from '../step-input';

/** What an operator asked of a running rotation, and whether it was done. */
export interface OperatorActInput extends StepInput {
  /** `abort`, `extendGracePeriod` … */
  act: string;
  accepted: boolean;
  /** Why nothing was done, when it was not accepted. */
  refused?: string;
}

/** The activity whose only purpose is its own audit record. */
export const OPERATOR_ACT_ACTIVITY = 'recordOperatorAct';

/**
 * The activities of the audit log itself. Workflows cannot write to it; they call `recordOperatorAct`, and the activity
 * boundary, which records every activity, records this one as the act: one record with the outcome `accepted` or `refused`.
 */
export function createAuditActivities() {
  return {
    async [OPERATOR_ACT_ACTIVITY](_input: OperatorActInput): Promise<void> {},
  };
}
