import { randomUUID } from 'node:crypto';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { Cause } from '../rotation/errors';
import type { RefusedDetails } from '../rotation/errors';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';
import { Stopped, unlessStopped } from './follow';

const USAGE_CAUSES: readonly string[] = [Cause.BadInput, Cause.CatalogInvalid, Cause.UnknownSecret];

/** A workflow that looks at an environment and gives a report. */
export interface Asking {
  workflowType: string;
  /** What its workflow ID begins with. */
  prefix: string;
  input: { environment: string };
  summary: string;
}

/**
 * Has a worker look at an environment, and waits for its report.
 *
 * @throws OperatorError with the type of the workflow's failure, or `Detached`
 */
export async function askForReport<Report>(
  client: Client,
  taskQueue: string,
  { workflowType, prefix, input, summary }: Asking,
  signal: AbortSignal,
): Promise<Report> {
  const workflowId = `${prefix}/${input.environment}/${randomUUID()}`;
  const handle = await client.workflow.start(workflowType, {
    workflowId,
    taskQueue,
    args: [input],
    staticSummary: summary,
  });
  try {
    return await unlessStopped(handle.result() as Promise<Report>, signal);
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
