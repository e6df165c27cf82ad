import { workflowInfo } from '@temporalio/workflow';
import { backupTime } from '../rotation/backup';
import type { RotationPlan } from '../rotation/plan';
import type { Step } from './saga/step';

/** How long one backup may take. */
const BACK_UP_MS = 5 * 60_000;

/**
 * Backs up the secret that is going to be changed, where the catalog says so. In an emergency nobody waits for it: what leaked need not
 * be kept, and an outage of S3 must not keep it in use.
 */
export const backUp: Step<RotationPlan> = {
  name: 'backUp',
  summary: ({ plan }) => `back up ${plan.secretId}${plan.backup ? ` to s3://${plan.backup.bucket}` : ''}`,
  when: ({ plan, input, found }) =>
    plan.backup !== undefined && found.labels.current !== undefined && input.emergency !== true,
  run: async ({ plan }, { waitLong }) => {
    const { environment, secret, backup } = plan;
    if (!backup) return;
    await waitLong(BACK_UP_MS).backUpBeforeRotation({
      environment,
      secret,
      time: backupTime(workflowInfo().startTime.getTime()),
      plan: backup,
      previous: plan.type === 'database',
    });
  },
};
