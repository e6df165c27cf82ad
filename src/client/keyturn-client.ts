import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { emergencyWorkflowId } from '../rotation/emergency';
import { RequestRefusal } from '../rotation/errors';
import { ROTATION_WORKFLOWS, rotationWorkflowId, secretIdOf, TASK_QUEUE } from '../rotation/names';
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
import { isRequestUnanswered, queryInTime, requestInTime } from './asking';
import { Emergencies, FRONT_DOOR } from './emergencies';
import { EnvironmentRuns } from './environment-runs';
import { AlreadyRunning, NoRotationFound, NotRunning, noWorker, RequestRefused, RequestUnanswered } from './errors';
import { FleetClient } from './fleet-client';
import { followRotation } from './follow';
import type { FollowOptions } from './follow';
import { rotationFailed } from './rotation-outcome';
import { executionOf, reportOf } from './rotation-report';
import type { RotationReport, RunningRotation } from './rotation-report';
import { listRunning, ROLLBACK_WORKFLOW } from './running-rotations';
import { startOptions } from './start-options';
import { isUnanswered, serverReason } from './temporal-failures';

/** One run of a rotation or rollback. */
export interface RotationRun {
  environment: string;
  secret: string;
  secretId: string;
  workflowId: string;
  runId: string;
  /** In an emergency: what ran already. Its grace period is ended and its end waited for before the secret is rotated. */
  behind?: RotationReport;
  /** In an emergency: the one of the same secret that was declared before, when nothing was started. */
  joined?: RotationReport;
}

/** Starts, watches and steers rotations over an existing connection, which it does not close. */
export class KeyturnClient {
  /** Rotates whole environments. */
  readonly fleets: FleetClient;
  /** What is under way for whole environments. */
  readonly environments: EnvironmentRuns;
  /** The emergencies of single secrets that are under way. */
  readonly emergencies: Emergencies;

  /** @param taskQueue where the workers poll; see `KEYTURN_TASK_QUEUE`. */
  constructor(
    private readonly client: Client,
    readonly taskQueue: string = TASK_QUEUE,
  ) {
    this.fleets = new FleetClient(client, taskQueue);
    this.environments = new EnvironmentRuns(client, taskQueue);
    this.emergencies = new Emergencies(client, taskQueue);
  }

  /**
   * Starts the rotation of one secret; returns as soon as Temporal has it. In an emergency one that runs is ended first, by the workers.
   *
   * @throws AlreadyRunning when one runs, and it is no emergency; nothing is started then.
   */
  async start(input: RotationInput, type: SecretType): Promise<RotationRun> {
    const verb = input.dryRun ? 'Plan the rotation of' : 'Rotate';
    try {
      return await this.startWorkflow(ROTATION_WORKFLOWS[type], input, type, verb);
    } catch (error) {
      if (!(error instanceof AlreadyRunning) || !input.emergency || input.dryRun) throw error;
      return this.startBehind(input, type, error.details as RotationReport | undefined);
    }
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

  /** The rotations that run now, oldest first, of one environment or of all; one shows up about a second after its start. */
  async running(environment?: string): Promise<RunningRotation[]> {
    return listRunning(this.client, this.taskQueue, environment);
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
    const { environment, secret } = input;
    const secretId = secretIdOf(environment, secret);
    const workflowId = rotationWorkflowId(environment, secret);
    try {
      const handle = await this.client.workflow.start(workflowType, {
        ...startOptions(this.taskQueue, input, type, verb),
        workflowId,
        workflowIdConflictPolicy: 'FAIL',
      });
      return { environment, secret, secretId, workflowId, runId: handle.firstExecutionRunId };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new AlreadyRunning(secretId, await this.status(environment, secret).catch(() => undefined));
    }
  }

  /** The front door ends what is in the way, and rotates then; one that does so already is joined. */
  private async startBehind(input: RotationInput, type: SecretType, behind?: RotationReport): Promise<RotationRun> {
    const { environment, secret } = input;
    const secretId = secretIdOf(environment, secret);
    const workflowId = emergencyWorkflowId(environment, secret);
    try {
      const { firstExecutionRunId: runId } = await this.client.workflow.start(FRONT_DOOR, {
        ...startOptions(this.taskQueue, input, type, 'Rotate, in an emergency,'),
        workflowId,
        workflowIdConflictPolicy: 'FAIL',
      });
      return { environment, secret, secretId, workflowId, runId, behind };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const joined = await reportOf(secretId, await this.client.workflow.getHandle(workflowId).describe());
      // It has ended between the two calls.
      if (joined.execution !== 'running') return this.start(input, type);
      return { environment, secret, secretId, workflowId, runId: joined.runId, joined };
    }
  }

  private async queryStatus({ workflowId, runId }: WorkflowExecutionDescription): Promise<Partial<RotationReport>> {
    const handle = this.client.workflow.getHandle(workflowId, runId);
    try {
      return { status: await queryInTime<RotationStatus>(this.client, handle, 'status') };
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
      return await requestInTime(this.client, handle, name, argument);
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError) {
        const { cause } = error;
        if (cause instanceof ApplicationFailure && cause.type && cause.type in RequestRefusal) {
          throw new RequestRefused(cause.type as RequestRefusal, secretId, name, cause.message);
        }
        throw cause ?? error;
      }
      if (isRequestUnanswered(error)) {
        throw new RequestUnanswered(environment, secret, name, argument, noWorker(this.taskQueue));
      }
      if (error instanceof WorkflowNotFoundError) {
        throw new NotRunning(secretId, await this.status(environment, secret).catch(() => undefined));
      }
      throw error;
    }
  }
}
