import type { WorkflowHandle } from '@temporalio/client';
import { Client as PgClient } from 'pg';
import type { AuditEntry } from '../../src/activities/audit/audit-log';
import type { RotationStatus } from '../../src/rotation/types';
import { until } from './until';

/** What operators see of a rotation. */

export const statusOf = (handle: WorkflowHandle) => handle.query<RotationStatus>('status');

/** Returns once the rotation has got to a phase. */
export async function inPhase(handle: WorkflowHandle, phase: RotationStatus['phase']): Promise<RotationStatus> {
  return until(`${handle.workflowId} in ${phase}`, async () => {
    const status = await statusOf(handle);
    return status.phase === phase && status;
  });
}

const ARRIVED = {
  update: 'workflowExecutionUpdateAcceptedEventAttributes',
  signal: 'workflowExecutionSignaledEventAttributes',
  cancel: 'workflowExecutionCancelRequestedEventAttributes',
} as const;

/** Returns once a request is in the rotation's history. */
export async function arrived(handle: WorkflowHandle, way: keyof typeof ARRIVED): Promise<void> {
  await until(
    `${way} in the history of ${handle.workflowId}`,
    async () => (await handle.fetchHistory()).events?.some((event) => event[ARRIVED[way]]),
    { everyMs: 250 },
  );
}

/** The audit records of a secret, oldest first. */
export async function auditOf(secretId: string): Promise<AuditEntry[]> {
  const client = new PgClient({ connectionString: process.env['KEYTURN_AUDIT_DATABASE_URL'] });
  await client.connect();
  try {
    const { rows } = await client.query<{ entry: AuditEntry }>(
      `SELECT entry FROM keyturn_audit.record WHERE entry ->> 'secretId' = $1 ORDER BY seq`,
      [secretId],
    );
    return rows.map(({ entry }) => entry);
  } finally {
    await client.end();
  }
}
