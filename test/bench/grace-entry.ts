import { setTimeout as delay } from 'node:timers/promises';
import { KeyturnClient } from '../../src/client/keyturn-client';
import { ROTATION_WORKFLOWS, SEARCH_ATTRIBUTES } from '../../src/rotation/names';
import type { Stage } from './stage';
import { timed } from './statistics';
import { ENVIRONMENT, TASK_QUEUE } from './subjects';

/** So many are on their way at once: half the cache, so that none has to be read from its history while it works. */
const ON_THE_WAY = 50;
const LOOK_EVERY_MS = 200;
const STUCK_AFTER_MS = 120_000;

/** Starts rotations of API keys and follows them into their grace period. */
export function graceEntry({ temporal }: Stage) {
  const keyturn = new KeyturnClient(temporal, TASK_QUEUE);
  const ours = `TaskQueue = '${TASK_QUEUE}' AND WorkflowType = '${ROTATION_WORKFLOWS['api-key']}'`;
  const started: string[] = [];
  const count = async (query: string) => (await temporal.workflow.count(`${ours} AND ${query}`)).count;

  /** As visibility knows it: asking the rotations themselves would wake them. */
  async function inGracePeriod(): Promise<number> {
    await refuseEnded();
    return count(`${SEARCH_ATTRIBUTES.phase} = 'grace-period'`);
  }

  async function refuseEnded(): Promise<void> {
    for await (const { workflowId, runId } of temporal.workflow.list({
      query: `${ours} AND ExecutionStatus != 'Running'`,
      pageSize: 1,
    })) {
      await temporal.workflow.getHandle(workflowId, runId).result();
      throw new Error(`${workflowId} ended before its grace period did`);
    }
  }

  return {
    /** Of all that were started. */
    started: started as readonly string[],

    /** @returns seconds until all of them were in their grace period. */
    async enter(secrets: readonly string[]): Promise<number> {
      let entered = started.length;
      let progressAt = Date.now();
      const untilOnTheWay = async (most: number) => {
        while (started.length - entered > most) {
          await delay(LOOK_EVERY_MS);
          const now = await inGracePeriod();
          if (now > entered) progressAt = Date.now();
          entered = now;
          if (Date.now() - progressAt > STUCK_AFTER_MS) {
            throw new Error(`only ${entered} of ${started.length} rotations got into their grace period`);
          }
        }
      };
      const took = await timed(async () => {
        for (const secret of secrets) {
          await untilOnTheWay(ON_THE_WAY - 1);
          const { workflowId } = await keyturn.start(
            { environment: ENVIRONMENT, secret, requestedBy: 'bench' },
            'api-key',
          );
          started.push(workflowId);
        }
        await untilOnTheWay(0);
      });
      return took / 1_000;
    },
  };
}
