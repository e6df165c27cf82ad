import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { rotationWorkflowId } from '../rotation/names';
import type { RotationResult, RotationStatus } from '../rotation/types';
import { queryInTime } from './asking';
import { OperatorError, whatNext } from './errors';
import { ExitCode } from './exit-codes';
import type { RotationRun } from './keyturn-client';
import { rotatedOrAborted, rotationFailed } from './rotation-outcome';
import { isUnanswered } from './temporal-failures';

const POLL_MS = 250;
/** Nothing moves in a grace period but the clock. */
const POLL_IN_GRACE_PERIOD_MS = 5_000;
const LAST_QUERY_TIMEOUT_MS = 2_000;

export interface FollowOptions {
  /** Stops waiting; the rotation goes on. */
  signal?: AbortSignal;
  /** Called when no worker answers; the waiting goes on. */
  onUnanswered?: () => void;
}

/** Thrown when the operator stopped waiting; the rotation is not affected. */
class Detached extends OperatorError {
  constructor({ secretId, workflowId, runId }: RotationRun, status: RotationStatus | undefined) {
    super(
      'Detached',
      [`Stopped waiting. The rotation of ${secretId} goes on.`, ...whatNext(secretId, status)].join('\n'),
      ExitCode.Detached,
      { workflowId, runId },
    );
  }
}

/** See {@link KeyturnClient.follow}. */
export async function followRotation(
  client: Client,
  run: RotationRun,
  onStatus: ((status: RotationStatus) => void) | undefined,
  { signal, onUnanswered }: FollowOptions,
): Promise<RotationResult> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  const ended = new AbortController();
  const stop = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;

  // Behind another one, first that one is shown, and then the rotation itself.
  const { behind, environment, secret } = run;
  const shown = behind ? client.workflow.getHandle(rotationWorkflowId(environment, secret)) : handle;
  const query = (timeoutMs?: number) => queryInTime<RotationStatus>(client, shown, 'status', timeoutMs);

  let lastSeen: RotationStatus | undefined;

  async function poll(report: (status: RotationStatus) => void): Promise<void> {
    while (!stop.aborted) {
      let pause = POLL_MS;
      try {
        const status = await unlessStopped(query(), stop);
        if (status.phase === 'grace-period') pause = POLL_IN_GRACE_PERIOD_MS;
        lastSeen = status;
        report(status);
      } catch (error) {
        if (isUnanswered(error)) onUnanswered?.();
      }
      await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  const polling = onStatus ? poll(onStatus) : Promise.resolve();
  try {
    const result = await unlessStopped(handle.result() as Promise<RotationResult>, signal);
    return rotatedOrAborted(run.secretId, result);
  } catch (error) {
    if (error instanceof Stopped) throw new Detached(run, lastSeen);
    throw error instanceof WorkflowFailedError ? rotationFailed(run.secretId, error.cause) : error;
  } finally {
    ended.abort();
    await polling;
    // The last steps may have ended between two polls.
    if (onStatus && !signal?.aborted) await query(LAST_QUERY_TIMEOUT_MS).then(onStatus, () => undefined);
  }
}

/** Thrown inside when the waiting was stopped. */
export class Stopped extends Error {}

/**
 * Stops waiting for a call when the signal is aborted; the call itself ends with its deadline or with the connection. The SDK is
 * not given the signal, because it adds a listener with every request and takes none away.
 */
export async function unlessStopped<T>(call: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return call;
  let onAbort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Stopped());
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([call, stopped]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
