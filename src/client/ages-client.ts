import { randomUUID } from 'node:crypto';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { AgesReport, CheckAgesInput } from '../rotation/ages';
import { Cause } from '../rotation/errors';
import type { RefusedDetails } from '../rotation/errors';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';
import { Stopped, unlessStopped } from './follow';

const USAGE_CAUSES: readonly string[] = [Cause.BadInput, Cause.CatalogInvalid, Cause.UnknownSecret];

/** Has a worker look how old the secrets of an environment are, and waits for its report. @throws OperatorError `AgeCheckFailed`, `Detached` */
export async function checkAges(
  client: Client,
  taskQueue: string,
  input: CheckAgesInput,
  signal: AbortSignal,
): Promise<AgesReport> {
  const workflowId = `ages/${input.environment}/${randomUUID()}`;
  const handle = await client.workflow.start('checkSecretAges', {
    workflowId,
    taskQueue,
    args: [input],
    staticSummary: `How old the secrets of ${input.environment} are`,
  });
  try {
    return await unlessStopped(handle.result() as Promise<AgesReport>, signal);
  } catch (error) {
    if (error instanceof Stopped) {
      const message = `Stopped waiting; nothing is changed by it. Look at it: temporal workflow describe --workflow-id ${workflowId}`;
      throw new OperatorError('Detached', message, ExitCode.Detached, { workflowId });
    }
    if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure)) throw error;
    const { type, message, details } = error.cause;
    const [refused] = (details ?? []) as RefusedDetails[];
    const exitCode = USAGE_CAUSES.includes(refused?.cause.type ?? '') ? ExitCode.Usage : ExitCode.Failed;
    throw new OperatorError(type ?? 'Unexpected', message, exitCode, refused);
  }
}
