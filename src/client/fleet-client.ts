import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import type { FleetInput, FleetReport, FleetStatus } from '../rotation/fleet';
import { FLEET_WORKFLOW, fleetWorkflowId, SEARCH_ATTRIBUTES } from '../rotation/names';
import { PRIORITY } from '../rotation/priority';
import type { AbortRequest, RequestAccepted } from '../rotation/types';
import { isRequestUnanswered, queryInTime, requestInTime } from './asking';
import { describeRunning } from './describe-running';
import { noWorker, OperatorError } from './errors';
import { ExitCode } from './exit-codes';
import { FleetDetached, FleetNotRunning, FleetRefused, FleetRunsAlready } from './fleet-errors';
import type { FleetName } from './fleet-errors';
import type { FollowOptions } from './follow';
import { Stopped, unlessStopped } from './follow';
import { rotationFailed } from './rotation-outcome';
import { isUnanswered } from './temporal-failures';

const POLL_MS = 500;

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

/** One run of `rotateEnvironment`. */
export interface FleetRun extends FleetName {
  workflowId: string;
  runId: string;
  /** What it was found to be doing, when it ran already and nothing was started. */
  joined?: FleetStatus;
  /** Of an emergency that was started: the ordinary fleet that it stops, as it was found then. */
  stops?: FleetStatus;
}

/** Starts, watches and stops the rotation of whole environments. */
export class FleetClient {
  constructor(
    private readonly client: Client,
    readonly taskQueue: string,
  ) {}

  /**
   * Starts the rotation of an environment, or joins the one that runs when it was asked for the same. An emergency is started beside an
   * ordinary one, and stops that.
   *
   * @throws FleetRunsAlready when an emergency runs, or one of the same kind that does something else; nothing is started then.
   */
  async start(input: FleetInput): Promise<FleetRun> {
    const { environment, requestedBy, reason } = input;
    const workflowId = fleetWorkflowId(input);
    const fleet: FleetName = { environment, emergency: input.emergency && !input.dryRun };
    const other: FleetName = { environment, emergency: !fleet.emergency };
    if (other.emergency && (await this.isRunning(other))) {
      throw new FleetRunsAlready(other, await this.statusIfAnswered(other), fleet);
    }
    try {
      const handle = await this.client.workflow.start(FLEET_WORKFLOW, {
        workflowId,
        taskQueue: this.taskQueue,
        args: [input],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: `${input.dryRun ? 'Plan the rotation of' : 'Rotate'} the environment ${environment}`,
        ...(requestedBy && { staticDetails: `Started by ${requestedBy}${reason ? ` (${reason})` : ''}` }),
        ...(input.emergency && { priority: PRIORITY.emergency }),
        typedSearchAttributes: new TypedSearchAttributes([
          { key: keyword(SEARCH_ATTRIBUTES.environment), value: environment },
          { key: keyword(SEARCH_ATTRIBUTES.phase), value: 'planning' },
        ]),
      });
      const stops = fleet.emergency ? await this.whatItStops(other) : undefined;
      return { ...fleet, workflowId, runId: handle.firstExecutionRunId, stops };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const { runId } = await this.client.workflow.getHandle(workflowId).describe();
      const joined = await this.statusIfAnswered(fleet);
      if (!joined || !asksForTheSame(input, joined)) throw new FleetRunsAlready(fleet, joined, fleet);
      return { ...fleet, workflowId, runId, joined };
    }
  }

  /** How one of the environment's fleets stands. */
  async status(fleet: FleetName): Promise<FleetStatus> {
    const handle = this.client.workflow.getHandle(fleetWorkflowId(fleet));
    return queryInTime<FleetStatus>(this.client, handle, 'status');
  }

  private async statusIfAnswered(fleet: FleetName): Promise<FleetStatus | undefined> {
    return this.status(fleet).catch(() => undefined);
  }

  /** Of an emergency that is started already, and must not seem to have failed. */
  private async whatItStops(ordinary: FleetName): Promise<FleetStatus | undefined> {
    const isRunning = await this.isRunning(ordinary).catch(() => false);
    return isRunning ? this.statusIfAnswered(ordinary) : undefined;
  }

  private async isRunning(fleet: FleetName): Promise<boolean> {
    return (await describeRunning(this.client, fleetWorkflowId(fleet))) !== undefined;
  }

  /**
   * Waits for the report.
   *
   * @param onStatus is called with every status that could be read while it runs.
   * @throws FleetDetached when `options.signal` was aborted, FleetRefused when it could not begin.
   */
  async follow(
    run: FleetRun,
    onStatus: ((status: FleetStatus) => void) | undefined,
    { signal, onUnanswered }: FollowOptions = {},
  ): Promise<FleetReport> {
    const ended = new AbortController();
    const stop = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
    const poll = async (report: (status: FleetStatus) => void) => {
      while (!stop.aborted) {
        try {
          report(await unlessStopped(this.status(run), stop));
        } catch (error) {
          if (isUnanswered(error)) onUnanswered?.();
        }
        await sleep(POLL_MS, undefined, { signal: stop }).catch(() => undefined);
      }
    };
    const polling = onStatus ? poll(onStatus) : Promise.resolve();
    try {
      // By its run: it goes on in further runs, and another fleet may come after it.
      const handle = this.client.workflow.getHandle(run.workflowId, run.runId);
      const report = await unlessStopped(handle.result() as Promise<FleetReport>, signal);
      ended.abort();
      await polling;
      // What ended since the last look.
      if (onStatus) await this.status(run).then(onStatus, () => undefined);
      return report;
    } catch (error) {
      if (error instanceof Stopped) throw new FleetDetached(run);
      if (!(error instanceof WorkflowFailedError)) throw error;
      const { type, message, details } = rotationFailed(run.environment, error.cause);
      throw new FleetRefused(type, error.cause instanceof ApplicationFailure ? error.cause.message : message, details);
    } finally {
      ended.abort();
      await polling;
    }
  }

  /** Has no further rotation started. @throws FleetNotRunning */
  async abort(fleet: FleetName, request: AbortRequest): Promise<RequestAccepted> {
    const { environment } = fleet;
    const handle = this.client.workflow.getHandle(fleetWorkflowId(fleet));
    try {
      return await requestInTime(this.client, handle, 'abort', request);
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
        const { type, message } = error.cause;
        throw new OperatorError(
          type ?? 'Refused',
          `${environment} was not stopped: ${message}.\nIt ends when the rotations that it has started have ended: keyturn status ${environment} --follow`,
          ExitCode.Refused,
        );
      }
      if (isRequestUnanswered(error)) {
        throw new OperatorError(
          'RequestUnanswered',
          `The request to stop rotating ${environment} is not answered: ${noWorker(this.taskQueue)} It may still take effect when one polls.`,
          ExitCode.Failed,
        );
      }
      if (error instanceof WorkflowNotFoundError) {
        const other: FleetName = { environment, emergency: !fleet.emergency };
        throw new FleetNotRunning(fleet, (await this.isRunning(other)) ? other : undefined);
      }
      throw error;
    }
  }
}

/**
 * An emergency follows only one that was declared for the same reason: what another one has rotated already may have leaked since. One
 * that starts no more will never do what is asked.
 */
function asksForTheSame(input: FleetInput, running: FleetStatus): boolean {
  const { types = ['all'], due, dryRun, emergency, reason } = input;
  if (emergency && !dryRun && (running.stopped !== undefined || reason !== running.reason)) return false;
  return (
    [...types].sort().join() === [...running.types].sort().join() &&
    (due === true) === running.due &&
    (dryRun === true) === running.dryRun &&
    (emergency === true) === running.emergency
  );
}
