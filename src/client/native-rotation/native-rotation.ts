import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { rotationWorkflowId, secretIdOf } from '../../rotation/names';
import type { RotationInput, RotationResult, RotationStatus } from '../../rotation/types';
import { noWorker } from '../errors';
import { rotatedOrAborted, rotationFailed } from '../rotation-outcome';
import { isUnanswered } from '../temporal-failures';
import { NotBegun, StepRefused, StepUnfinished } from './errors';
import { hasReached } from './progress';
import type { StepRequest } from './request';

const POLL_MS = 500;
const CALL_TIMEOUT_MS = 10_000;

/** The front door, which looks the secret's type up on the worker, so that the function needs no catalog. */
const FRONT_DOOR = 'rotate';

/** Who and why, for the audit trail. */
const STARTED_BY = { requestedBy: 'AWS Secrets Manager', reason: 'rotation started by Secrets Manager' };

/**
 * Carries out the steps of Secrets Manager's own rotation by a Keyturn rotation whose candidate is the version that Secrets Manager
 * expects. createSecret starts it, once for each version; it goes on by itself, and every step only waits until its part is done.
 */
export class NativeRotation {
  /** @param taskQueue where the workers poll. */
  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
  ) {}

  /**
   * Returns when the step's part of the rotation is done; nothing is returned, because nothing may be told.
   *
   * @param deadline in milliseconds since the epoch.
   * @throws StepRefused when there is no rotation to join, StepUnfinished at the deadline, RotationFailed when it did not rotate.
   */
  async carryOut(request: StepRequest, deadline: number): Promise<void> {
    const handle = await this.joined(request, deadline);
    for (;;) {
      const { status } = await this.within(deadline, () => handle.describe());
      if (status.name !== 'RUNNING') return this.checkEnd(request, handle, deadline);
      const rotation = await this.look(request, deadline);
      if (typeof rotation !== 'string' && hasReached(request.step, rotation, request.versionId)) return;
      if (Date.now() + POLL_MS >= deadline) {
        throw new StepUnfinished(request.step, secretIdOf(request.environment, request.secret), whereabouts(rotation));
      }
      await sleep(POLL_MS);
    }
  }

  /** The front door's run for this version: the one that there is, or for createSecret a new one when that failed. */
  private async joined(request: StepRequest, deadline: number): Promise<WorkflowHandle> {
    const workflowId = frontDoorId(request);
    if (request.step === 'createSecret') return this.start(request, workflowId, deadline);
    const handle = this.client.workflow.getHandle(workflowId);
    try {
      await this.within(deadline, () => handle.describe());
      return handle;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // Without a createSecret before it, this is Secrets Manager's test of the configuration (RotateImmediately=false).
      if (request.step === 'testSecret') return this.start(request, `${workflowId}/test`, deadline, { dryRun: true });
      throw new NotBegun(request);
    }
  }

  private async start(
    { environment, secret, versionId }: StepRequest,
    workflowId: string,
    deadline: number,
    more: Pick<RotationInput, 'dryRun'> = {},
  ): Promise<WorkflowHandle> {
    const input: RotationInput = { environment, secret, versionId, ...STARTED_BY, ...more };
    try {
      return await this.within(deadline, () =>
        this.client.workflow.start(FRONT_DOOR, {
          workflowId,
          taskQueue: this.taskQueue,
          args: [input],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: more.dryRun ? 'ALLOW_DUPLICATE' : 'ALLOW_DUPLICATE_FAILED_ONLY',
          staticSummary: `Rotate ${secretIdOf(environment, secret)} for Secrets Manager`,
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return this.client.workflow.getHandle(workflowId);
      throw error;
    }
  }

  /** @throws RotationFailed, StepRefused when AWSCURRENT is not on the version that Secrets Manager expects. */
  private async checkEnd(request: StepRequest, handle: WorkflowHandle, deadline: number): Promise<void> {
    const secretId = secretIdOf(request.environment, request.secret);
    let result: RotationResult;
    try {
      result = (await this.within(deadline, () => handle.result())) as RotationResult;
    } catch (error) {
      throw error instanceof WorkflowFailedError ? rotationFailed(secretId, error.cause) : error;
    }
    const { outcome, versions } = rotatedOrAborted(secretId, result);
    if (outcome !== 'dry-run' && versions.current !== request.versionId) {
      throw new StepRefused(`The rotation of ${secretId} did not end with version ${request.versionId}.`);
    }
  }

  /** What the rotation says of itself, or why it does not. */
  private async look({ environment, secret }: StepRequest, deadline: number): Promise<RotationStatus | string> {
    const rotation = this.client.workflow.getHandle(rotationWorkflowId(environment, secret));
    try {
      const { status, runId } = await this.within(deadline, () => rotation.describe());
      // One that is over says nothing of the run that the front door is about to start.
      if (status.name !== 'RUNNING') return 'its rotation has not begun';
      const running = this.client.workflow.getHandle(rotation.workflowId, runId);
      return await this.within(deadline, () => running.query<RotationStatus>('status'));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'its rotation has not begun';
      if (isUnanswered(error)) return noWorker(this.taskQueue).replace(/\.$/, '');
      throw error;
    }
  }

  private within<T>(deadline: number, call: () => Promise<T>): Promise<T> {
    return this.client.withDeadline(Math.min(deadline, Date.now() + CALL_TIMEOUT_MS), call);
  }
}

function frontDoorId({ environment, secret, versionId }: StepRequest): string {
  return `native-rotation/${secretIdOf(environment, secret)}/${versionId}`;
}

function whereabouts(rotation: RotationStatus | string): string {
  if (typeof rotation === 'string') return rotation;
  return `its rotation is at step ${rotation.step || rotation.phase} (${rotation.phase})`;
}
