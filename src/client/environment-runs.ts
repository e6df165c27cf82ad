import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { backupWorkflowId, restoreWorkflowId } from '../rotation/backup';
import type { BackupProgress } from '../rotation/backup';
import type { FleetStatus } from '../rotation/fleet';
import { FLEET_WORKFLOW, fleetWorkflowId } from '../rotation/names';
import { queryInTime } from './asking';
import { noWorker } from './errors';
import { abortCommand } from './fleet-errors';
import type { FleetName } from './fleet-errors';
import type { NextCommand } from './grace-period';
import { describeRunning } from './describe-running';
import { isUnanswered, serverReason } from './temporal-failures';

/** What the workers do with a whole environment, by the workflow type that does it. */
const KINDS = { [FLEET_WORKFLOW]: 'fleet', backupSecrets: 'backup', restoreSecrets: 'restore' } as const;
type Kind = (typeof KINDS)[keyof typeof KINDS];

/**
 * The workflow IDs under which each kind does its work, emergencies first. They begin with the kind, followed by the environment; a
 * schedule's, or one that was chosen by hand, is not what does the work.
 */
const IDS_OF: Record<Kind, (environment: string) => string[]> = {
  fleet: (environment) => [emergencyId(environment), fleetWorkflowId({ environment })],
  backup: (environment) => [backupWorkflowId(environment)],
  restore: (environment) => [restoreWorkflowId(environment)],
};

const emergencyId = (environment: string) => fleetWorkflowId({ environment, emergency: true });

/** Something that is under way for a whole environment. Plain JSON. */
export interface EnvironmentRun {
  kind: Kind;
  environment: string;
  /** Of a fleet: it is that of an emergency, beside which there may be the ordinary one. */
  emergency?: true;
  workflowId: string;
  runId: string;
  /** ISO 8601. */
  startedAt: string;
  /** Of a fleet; absent when no worker answered. */
  status?: FleetStatus;
  /** Of a backup or a restore; absent when no worker answered. */
  progress?: BackupProgress;
  /** Why both are absent. */
  unanswered?: string;
  /** What an operator can type now. */
  canType: NextCommand[];
}

/** Sees what is under way for whole environments, over an existing connection, which it does not close. */
export class EnvironmentRuns {
  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
  ) {}

  /** What runs for any environment, oldest first, as visibility knows it: about a second after its start. */
  async all(): Promise<EnvironmentRun[]> {
    const types = Object.keys(KINDS).map((type) => `'${type}'`);
    const query = `TaskQueue = '${this.taskQueue}' AND ExecutionStatus = 'Running' AND WorkflowType IN (${types.join(', ')})`;
    const found: Promise<EnvironmentRun>[] = [];
    for await (const execution of this.client.workflow.list({ query })) {
      const kind = KINDS[execution.type as keyof typeof KINDS];
      const [, environment = ''] = execution.workflowId.split('/');
      const isIts = IDS_OF[kind](environment).includes(execution.workflowId);
      if (isIts) found.push(this.look(kind, environment, execution));
    }
    return (await Promise.all(found)).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  }

  /** What runs for one environment, as of now; the fleet of an emergency before the ordinary one. */
  async of(environment: string, kinds: readonly Kind[] = Object.values(KINDS)): Promise<EnvironmentRun[]> {
    const found = kinds.flatMap((kind) =>
      IDS_OF[kind](environment).map(async (workflowId) => {
        const execution = await describeRunning(this.client, workflowId);
        return execution ? [await this.look(kind, environment, execution)] : [];
      }),
    );
    return (await Promise.all(found)).flat();
  }

  private async look(
    kind: Kind,
    environment: string,
    { workflowId, runId, startTime }: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'startTime'>,
  ): Promise<EnvironmentRun> {
    const fleet = { environment, ...(workflowId === emergencyId(environment) && { emergency: true as const }) };
    const about = { kind, ...fleet, workflowId, runId, canType: commandsFor(kind, fleet, workflowId) };
    const startedAt = startTime.toISOString();
    const handle = this.client.workflow.getHandle(workflowId, runId);
    const ask = <T>(name: string) => queryInTime<T>(this.client, handle, name);
    try {
      if (kind !== 'fleet') return { ...about, startedAt, progress: await ask<BackupProgress>('progress') };
      const status = await ask<FleetStatus>('status');
      // A long one goes on in further runs, each with a start of its own.
      return {
        ...about,
        startedAt: status.startedAt,
        status,
        canType: commandsFor(kind, fleet, workflowId, status.stopped !== undefined),
      };
    } catch (error) {
      const reason = isUnanswered(error) ? noWorker(this.taskQueue) : serverReason(error);
      return { ...about, startedAt, unanswered: `How far it is is not known: ${reason}` };
    }
  }
}

function commandsFor(kind: Kind, fleet: FleetName, workflowId: string, isStopped = false): NextCommand[] {
  if (kind !== 'fleet') {
    return [{ what: 'Look at it', command: `temporal workflow describe --workflow-id ${workflowId}` }];
  }
  return [
    { what: 'Follow it', command: `keyturn status ${fleet.environment} --follow` },
    ...(isStopped ? [] : [{ what: 'Start no more', command: abortCommand(fleet) }]),
  ];
}
