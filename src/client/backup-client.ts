import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { backupWorkflowId, restoreWorkflowId } from '../rotation/backup';
import type { BackupInput, BackupProgress, BackupResult, RestoreInput, RestoreResult } from '../rotation/backup';
import { Cause } from '../rotation/errors';
import type { RefusedDetails } from '../rotation/errors';
import { queryInTime } from './asking';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';

const POLL_MS = 500;

/** What the operator's own input, or the catalog, brought about. */
const USAGE_CAUSES: readonly string[] = [
  Cause.BadInput,
  Cause.CatalogInvalid,
  Cause.UnknownSecret,
  Cause.BackupNotConfigured,
];

/** Takes and restores backups over an existing connection, which it does not close. */
export class BackupClient {
  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
  ) {}

  /** Backs up an environment and waits for the end. @throws OperatorError `BackupFailed`, `AlreadyRunning`, `Detached` */
  async backUp(input: BackupInput, onProgress: OnProgress, signal: AbortSignal): Promise<BackupResult> {
    const workflowId = backupWorkflowId(input.environment);
    return this.run<BackupResult>(
      'backupSecrets',
      workflowId,
      `Back up ${input.environment}`,
      input,
      onProgress,
      signal,
    );
  }

  /** Restores an environment, or shows what that would do, and waits for the end. @throws OperatorError `RestoreRefused`, `AlreadyRunning`, `Detached` */
  async restore(input: RestoreInput, onProgress: OnProgress, signal: AbortSignal): Promise<RestoreResult> {
    const what = input.dryRun ? 'Plan the restore of' : 'Restore';
    const workflowId = restoreWorkflowId(input.environment);
    return this.run<RestoreResult>(
      'restoreSecrets',
      workflowId,
      `${what} ${input.environment}`,
      input,
      onProgress,
      signal,
    );
  }

  private async run<T>(
    type: string,
    workflowId: string,
    staticSummary: string,
    input: BackupInput | RestoreInput,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<T> {
    const { taskQueue } = this;
    try {
      await this.client.workflow.start(type, { workflowId, taskQueue, args: [input], staticSummary });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new OperatorError(
        'AlreadyRunning',
        `${workflowId} runs already. Nothing was started. Look at it: temporal workflow describe --workflow-id ${workflowId}`,
        ExitCode.Refused,
      );
    }
    // Without a run ID, which changes when a long restore goes on in a new run.
    const handle = this.client.workflow.getHandle(workflowId);
    const ended = new AbortController();
    const polling = this.poll(workflowId, onProgress, AbortSignal.any([signal, ended.signal]));
    try {
      return await stoppedBy(signal, workflowId, handle.result() as Promise<T>);
    } catch (error) {
      throw error instanceof WorkflowFailedError ? failedWith(error.cause) : error;
    } finally {
      ended.abort();
      await polling;
    }
  }

  private async poll(workflowId: string, onProgress: OnProgress, stop: AbortSignal): Promise<void> {
    const handle = this.client.workflow.getHandle(workflowId);
    while (!stop.aborted) {
      try {
        const progress = await queryInTime<BackupProgress>(this.client, handle, 'progress');
        if (!stop.aborted) onProgress(progress);
      } catch {
        // No worker answers; the workflow waits for one, and so does who asked for it.
      }
      await sleep(POLL_MS, undefined, { signal: stop }).catch(() => undefined);
    }
  }
}

type OnProgress = (progress: BackupProgress) => void;

async function stoppedBy<T>(signal: AbortSignal, workflowId: string, result: Promise<T>): Promise<T> {
  result.catch(() => undefined);
  const stopped = new Promise<never>((_, reject) => {
    const stop = () =>
      reject(
        new OperatorError(
          'Detached',
          `Stopped waiting; it goes on. Look at it: temporal workflow describe --workflow-id ${workflowId}`,
          ExitCode.Detached,
          { workflowId },
        ),
      );
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([result, stopped]);
}

function failedWith(cause: Error | undefined): OperatorError {
  if (!(cause instanceof ApplicationFailure)) {
    const message = cause?.message ?? 'no reason given';
    return new OperatorError('Unexpected', `It did not come to its end: ${message}`, ExitCode.Failed);
  }
  const [details] = (cause.details ?? []) as RefusedDetails[];
  const byInput = USAGE_CAUSES.includes(details?.cause.type ?? '');
  const exitCode = byInput ? ExitCode.Usage : cause.type === 'RestoreRefused' ? ExitCode.Refused : ExitCode.Failed;
  return new OperatorError(cause.type ?? 'Unexpected', cause.message, exitCode, details);
}
