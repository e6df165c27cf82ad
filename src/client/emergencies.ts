import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { emergencyWorkflowId } from '../rotation/emergency';
import { rotationWorkflowId, SEARCH_ATTRIBUTES, secretIdOf } from '../rotation/names';
import { describeRunning } from './describe-running';

/** The workflow type that looks up how a secret is rotated; in an emergency it also ends what is in the way. */
export const FRONT_DOOR = 'rotate';

/** Whose front doors are emergencies' only: those of operators, and those of events. */
const EMERGENCIES = ['emergency/', 'event/'];

const SECRET = defineSearchAttributeKey(SEARCH_ATTRIBUTES.secret, SearchAttributeType.KEYWORD);

/** An emergency of one secret that is under way. Plain JSON. */
export interface Emergency {
  secretId: string;
  workflowId: string;
  /** ISO 8601. */
  since: string;
  /** `waiting` for the end of what ran before; `rotating` while the rotation that runs is the emergency's own. */
  state: 'waiting' | 'rotating';
}

type FrontDoor = Pick<WorkflowExecutionInfo, 'workflowId' | 'startTime' | 'typedSearchAttributes'>;

/** Sees the emergencies of single secrets, over an existing connection, which it does not close. */
export class Emergencies {
  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
  ) {}

  /** Those of an environment, oldest first, as visibility knows them: about a second after their start. */
  async of(environment: string): Promise<Emergency[]> {
    return this.emergencies(environment, await this.listed(environment));
  }

  /** Those of one secret, oldest first; an operator's own at once, an event's as visibility knows it. */
  async ofSecret(environment: string, secret: string): Promise<Emergency[]> {
    const [listed, own] = await Promise.all([
      this.listed(environment, secret),
      describeRunning(this.client, emergencyWorkflowId(environment, secret)),
    ]);
    const others = listed.filter(({ workflowId }) => workflowId !== own?.workflowId);
    return this.emergencies(environment, own ? [own, ...others] : others);
  }

  private async listed(environment: string, secret?: string): Promise<WorkflowExecutionInfo[]> {
    const named = (name: string, value: string) => `${name} = '${value.replaceAll("'", '')}'`;
    const query = [
      `TaskQueue = '${this.taskQueue}' AND ExecutionStatus = 'Running' AND WorkflowType = '${FRONT_DOOR}'`,
      named(SEARCH_ATTRIBUTES.environment, environment),
      ...(secret === undefined ? [] : [named(SEARCH_ATTRIBUTES.secret, secret)]),
    ].join(' AND ');
    const found: WorkflowExecutionInfo[] = [];
    for await (const execution of this.client.workflow.list({ query })) {
      if (EMERGENCIES.some((start) => execution.workflowId.startsWith(start))) found.push(execution);
    }
    return found;
  }

  private async emergencies(environment: string, doors: readonly FrontDoor[]): Promise<Emergency[]> {
    const rotations = new Map<string, ReturnType<typeof describeRunning>>();
    const found = doors.map(async ({ workflowId, startTime, typedSearchAttributes }): Promise<Emergency[]> => {
      const secret = typedSearchAttributes.get(SECRET);
      if (secret === undefined) return [];
      const rotation = rotations.get(secret) ?? describeRunning(this.client, rotationWorkflowId(environment, secret));
      rotations.set(secret, rotation);
      const isOwn = (await rotation)?.parentExecution?.workflowId === workflowId;
      const secretId = secretIdOf(environment, secret);
      return [{ secretId, workflowId, since: startTime.toISOString(), state: isOwn ? 'rotating' : 'waiting' }];
    });
    return (await Promise.all(found)).flat().sort((a, b) => a.since.localeCompare(b.since));
  }
}
