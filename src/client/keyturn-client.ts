import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { RequestRefusal } from '../rotation/errors';
import { ROTATION_WORKFLOWS, rotationWorkflowId, SEARCH_ATTRIBUTES, secretIdOf, TASK_QUEUE } from '../rotation/names';
import type { SecretType } from '../rotation/names';
import type {
  AbortRequest,
  EndGracePeriodRequest,
  ExtendGracePeriodRequest,
  OperatorRequest,
  RequestAccepted,
  RotationInput,
  RotationResult,
  RotationStatus,
  SetPhaseInRequest,
} from '../rotation/types';
import { AlreadyRunning, NoRotationFound, NotRunning, noWorker, RequestRefused, RequestUnanswered } from './errors';
import { FleetClient } from './fleet-client';
import { followRotation } from './follow';
import type { FollowOptions } from './follow';
import { rotationFailed } from './rotation-outcome';
import { executionOf, reportOf } from './rotation-report';
import type { RotationReport, RunningRotation } from './rotation-report';
import { isUnanswered, serverReason } from './temporal-failures';

/** The workflow type that goes back to AWSPREVIOUS; it runs under the rotation's own ID, so the two exclude each other. */
const ROLLBACK_WORKFLOW = 'rollbackSecret';

const WORKFLOW_TYPES: string[] = [...Object.values(ROTATION_WORKFLOWS), ROLLBACK_WORKFLOW];
const QUERY_TIMEOUT_MS = 5_000;
const UPDATE_TIMEOUT_MS = 10_000;
/** Before everything else; the server takes lower numbers first. */
const EMERGENCY_PRIORITY = { priorityKey: 1 };

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const PHASE = keyword(SEARCH_ATTRIBUTES.phase);

/** One run of a rotation or rollback. */
export interface RotationRun {
  environment: string;
  secret: string;
  secretId: string;
  workflowId: string;
  runId: string;
}

/** Starts, watches and steers rotations over an existing connection, which it does not close. */
export class KeyturnClient {
  /** Whole environments. */
  readonly fleets: FleetClient;

  /** @param taskQueue where the workers poll; see `KEYTURN_TASK_QUEUE`. */
  constructor(
    private readonly client: Client,
    readonly taskQueue: string = TASK_QUEUE,
  ) {
    this.fleets = new FleetClient(client, taskQueue);
  }

  /**
   * Starts the rotation of one secret; returns as soon as Temporal has it.
   *
   * @throws AlreadyRunning when one runs; nothing is started then.
   */
  async start(input: RotationInput, type: SecretType): Promise<RotationRun> {
    return this.startWorkflow(ROTATION_WORKFLOWS[type], input, type, input.dryRun ? 'Plan the rotation of' : 'Rotate');
  }

  /**
   * Starts going back to AWSPREVIOUS, with the target system set back too; returns as soon as Temporal has it.
   *
   * @throws AlreadyRunning when a rotation or rollback of the secret runs.
   */
  async rollback(input: RotationInput, type: SecretType): Promise<RotationRun> {
    return this.startWorkflow(ROLLBACK_WORKFLOW, input, type, input.dryRun ? 'Plan the rollback of' : 'Roll back');
  }

  /**
   * Waits for the end.
   *
   * @param onStatus is called with every status that could be read while it runs, and once at the end; leave it out to only wait.
   * @throws RotationFailed when it did not rotate, Detached when `options.signal` was aborted.
   */
  async follow(
    run: RotationRun,
    onStatus?: (status: RotationStatus) => void,
    options: FollowOptions = {},
  ): Promise<RotationResult> {
    return followRotation(this.client, run, onStatus, options);
  }

  /**
   * The latest rotation of a secret, running or ended. Without a worker the status is missing and `unanswered` says so.
   *
   * @throws NoRotationFound
   */
  async status(environment: string, secret: string): Promise<RotationReport> {
    const secretId = secretIdOf(environment, secret);
    const handle = this.client.workflow.getHandle(rotationWorkflowId(environment, secret));
    const description = await handle.describe().catch((error: unknown) => {
      throw error instanceof WorkflowNotFoundError ? new NoRotationFound(secretId) : error;
    });
    return {
      ...(await reportOf(secretId, description)),
      ...(await this.queryStatus(description)),
      ...(executionOf(description.status.name) !== 'running' && (await this.outcome(secretId, description))),
    };
  }

  /** What runs now, oldest first, as visibility knows it: a rotation shows up about a second after its start. */
  async running(): Promise<RunningRotation[]> {
    const types = WORKFLOW_TYPES.map((type) => `'${type}'`).join(', ');
    const query = `TaskQueue = '${this.taskQueue}' AND ExecutionStatus = 'Running' AND WorkflowType IN (${types})`;
    const found: RunningRotation[] = [];
    for await (const execution of this.client.workflow.list({ query })) {
      found.push({
        secretId: execution.workflowId.replace(/^rotation\//, ''),
        workflowId: execution.workflowId,
        runId: execution.runId,
        workflowType: execution.type,
        startedAt: execution.startTime.toISOString(),
        phase: execution.typedSearchAttributes.get(PHASE),
      });
    }
    return found.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  }

  /** Asks the running rotation to undo itself. @throws RequestRefused past the point of no return, NotRunning, RequestUnanswered */
  async abort(environment: string, secret: string, request: AbortRequest): Promise<RequestAccepted> {
    return this.request('abort', environment, secret, request);
  }

  /** Moves the end of the grace period. @throws RequestRefused outside of a grace period, NotRunning, RequestUnanswered */
  async extendGracePeriod(
    environment: string,
    secret: string,
    request: ExtendGracePeriodRequest,
  ): Promise<RequestAccepted> {
    return this.request('extendGracePeriod', environment, secret, request);
  }

  /** Ends the grace period now. @throws RequestRefused outside of a grace period, NotRunning, RequestUnanswered */
  async endGracePeriod(environment: string, secret: string, request: EndGracePeriodRequest): Promise<RequestAccepted> {
    return this.request('endGracePeriod', environment, secret, request);
  }

  /** Sets what share of use the new API key gets. @throws RequestRefused outside of a grace period, NotRunning, RequestUnanswered */
  async setPhaseIn(environment: string, secret: string, request: SetPhaseInRequest): Promise<RequestAccepted> {
    return this.request('setPhaseIn', environment, secret, request);
  }

  private async startWorkflow(
    workflowType: string,
    input: RotationInput,
    type: SecretType,
    verb: string,
  ): Promise<RotationRun> {
    const { environment, secret, requestedBy, reason } = input;
    const secretId = secretIdOf(environment, secret);
    const workflowId = rotationWorkflowId(environment, secret);
    try {
      const handle = await this.client.workflow.start(workflowType, {
        workflowId,
        taskQueue: this.taskQueue,
        args: [input],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: `${verb} ${secretId}`,
        ...(input.emergency && { priority: EMERGENCY_PRIORITY }),
        ...(requestedBy && { staticDetails: `Started by ${requestedBy}${reason ? ` (${reason})` : ''}` }),
        typedSearchAttributes: new TypedSearchAttributes([
          { key: keyword(SEARCH_ATTRIBUTES.environment), value: environment },
          { key: keyword(SEARCH_ATTRIBUTES.secret), value: secret },
          { key: keyword(SEARCH_ATTRIBUTES.type), value: type },
          { key: PHASE, value: 'planning' },
        ]),
      });
      return { environment, secret, secretId, workflowId, runId: handle.firstExecutionRunId };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new AlreadyRunning(secretId, await this.status(environment, secret).catch(() => undefined));
    }
  }

  private async queryStatus({ workflowId, runId }: WorkflowExecutionDescription): Promise<Partial<RotationReport>> {
    const handle = this.client.workflow.getHandle(workflowId, runId);
    try {
      const deadline = Date.now() + QUERY_TIMEOUT_MS;
      return { status: await this.client.withDeadline(deadline, () => handle.query<RotationStatus>('status')) };
    } catch (error) {
      // What describe knows is worth showing whatever went wrong with the query.
      const reason = isUnanswered(error) ? noWorker(this.taskQueue) : serverReason(error);
      return { unanswered: `The steps are not known: ${reason}` };
    }
  }

  private async outcome(
    secretId: string,
    { workflowId, runId }: WorkflowExecutionDescription,
  ): Promise<Partial<RotationReport>> {
    try {
      const handle = this.client.workflow.getHandle(workflowId, runId, { followRuns: false });
      return { result: (await handle.result()) as RotationResult };
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      const { type, message, details } = rotationFailed(secretId, error.cause);
      return { failure: { type, message, details } };
    }
  }

  private async request(
    name: OperatorRequest['request'],
    environment: string,
    secret: string,
    argument: AbortRequest | ExtendGracePeriodRequest | EndGracePeriodRequest | SetPhaseInRequest,
  ): Promise<RequestAccepted> {
    const secretId = secretIdOf(environment, secret);
    const handle = this.client.workflow.getHandle(rotationWorkflowId(environment, secret));
    try {
      return await this.client.withDeadline(Date.now() + UPDATE_TIMEOUT_MS, () =>
        handle.executeUpdate<RequestAccepted, [typeof argument]>(name, { args: [argument] }),
      );
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError) {
        const { cause } = error;
        if (cause instanceof ApplicationFailure && cause.type && cause.type in RequestRefusal) {
          throw new RequestRefused(cause.type as RequestRefusal, secretId, name, cause.message);
        }
        throw cause ?? error;
      }
      // The server refuses updates while a rotation's workers keep dying over its task.
      if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isUnanswered(error)) {
        throw new RequestUnanswered(environment, secret, name, argument, noWorker(this.taskQueue));
      }
      if (error instanceof WorkflowNotFoundError) {
        throw new NotRunning(secretId, await this.status(environment, secret).catch(() => undefined));
      }
      throw error;
    }
  }
}
