import type { OutsideCall } from '../../src/activities/boundary/activity-scope';
import { rotateOnce } from './contenders';
import type { Stage } from './stage';
import { singleUser } from './subjects';

/** What one single-user rotation asks of Secrets Manager and PostgreSQL, step by step. */
export interface RotationCalls {
  steps: { step: string; calls: string[] }[];
  secretsManager: number;
  logins: number;
  statements: number;
  /** Records that its activities append to the audit log, besides. */
  auditRecords: number;
}

/**
 * Reads the calls of one rotation from the audit log, and holds the floor against them.
 *
 * @throws Error when the floor does not make exactly these calls in this order.
 */
export async function countCalls(stage: Stage): Promise<RotationCalls> {
  const { workflowId, runId } = await stage.rotate(singleUser('rotation', 0));
  const records = (await stage.audit.list({ workflowId })).filter(({ entry }) => entry.workflow?.runId === runId);
  const steps = records
    .filter(({ entry }) => entry.outcome === 'succeeded' && entry.outsideCalls?.length)
    .map(({ entry }) => ({ step: entry.step ?? entry.what, calls: (entry.outsideCalls ?? []).map(textOf) }));
  const all = steps.flatMap(({ calls }) => calls);

  const direct = await rotateOnce(stage, 'floor', 0);
  if (direct.join('\n') !== all.join('\n')) {
    throw new Error(
      `The floor does not make the calls of a rotation; correct test/bench/floor.ts.\nA rotation: ${all.join(', ')}\nThe floor: ${direct.join(', ')}`,
    );
  }
  const logins = all.filter((call) => call.startsWith('postgresql login')).length;
  const secretsManager = all.filter((call) => call.startsWith('secretsmanager')).length;
  return {
    steps,
    secretsManager,
    logins,
    statements: all.length - logins - secretsManager,
    auditRecords: records.length,
  };
}

const textOf = ({ system, operation, outcome }: OutsideCall) => `${system} ${operation} ${outcome}`;
