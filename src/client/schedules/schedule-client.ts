import type { ScheduleDescription, ScheduleClient } from '@temporalio/client';
import { ScheduleAlreadyRunning, ScheduleNotFoundError } from '@temporalio/client';
import { inLanes } from '../../rotation/in-lanes';
import { environmentOf, OWNER_MEMO, SCHEDULE_ID_PREFIX } from '../../rotation/schedule-ids';
import { serverReason } from '../temporal-failures';
import type { PlannedSchedule } from './plan';
import { DIGEST_MEMO, isOwned, pausedOf, planDeletion, planSchedule } from './plan';
import { digestOf, readingOf } from './reading';
import type { WantedSchedule } from './wanted';

/** What came of one schedule. Plain JSON. */
export interface AppliedSchedule extends PlannedSchedule {
  /** Why what it does could not be done. */
  failure?: string;
}

/** How many calls are under way at once: enough to be quick, few enough not to be throttled. */
const LANES = 10;

/** Schedules of other programs are not even read: their memos may be in an encoding that is unknown here. */
const OURS = `ScheduleId STARTS_WITH "${SCHEDULE_ID_PREFIX}"`;

/** Compares the schedules in Temporal with those that a catalog asks for, and makes them the same. */
export class KeyturnSchedules {
  /** @param taskQueue that of the workers; it tells one Keyturn's schedules from another's. */
  constructor(
    private readonly client: ScheduleClient,
    private readonly taskQueue: string,
  ) {}

  /**
   * What {@link apply} would do, in the order of `wanted`, deletions last. Reads only.
   *
   * @param environment only this one's schedules; those of all environments when absent.
   */
  async plan(wanted: readonly WantedSchedule[], environment?: string): Promise<PlannedSchedule[]> {
    const planned: PlannedSchedule[] = [];
    await inLanes(wanted, LANES, async (schedule, index) => {
      planned[index] = planSchedule(schedule, await this.describe(schedule.scheduleId), this.taskQueue);
    });
    return [...planned, ...(await this.deletions(new Set(wanted.map(({ scheduleId }) => scheduleId)), environment))];
  }

  /**
   * Does what is planned; a schedule that cannot be written does not keep the others from it.
   *
   * @param planned as {@link plan} gave it for the same `wanted`.
   */
  async apply(wanted: readonly WantedSchedule[], planned: readonly PlannedSchedule[]): Promise<AppliedSchedule[]> {
    const byId = new Map(wanted.map((schedule) => [schedule.scheduleId, schedule]));
    const applied: AppliedSchedule[] = [...planned];
    await inLanes(planned, LANES, async (entry, index) => {
      const failure = await this.write(entry, byId.get(entry.scheduleId)).catch(failureText);
      if (failure !== undefined) applied[index] = { ...entry, failure };
    });
    return applied;
  }

  /** @returns why nothing was written, if so. */
  private async write({ scheduleId, does }: PlannedSchedule, wanted?: WantedSchedule): Promise<string | undefined> {
    switch (does) {
      case 'nothing':
      case 'refuse':
        return undefined;
      case 'create':
        return wanted && this.create(wanted);
      case 'change':
        return wanted && this.change(wanted);
      case 'delete':
        return this.delete(scheduleId);
    }
  }

  private async create(wanted: WantedSchedule): Promise<undefined> {
    await this.client.create({
      scheduleId: wanted.scheduleId,
      spec: wanted.spec,
      action: actionWithDigest(wanted),
      policies: wanted.policies,
      memo: { [OWNER_MEMO]: this.taskQueue },
      state: { ...pausedOf(wanted, { paused: false }), ...(wanted.runsAtOnce && { triggerImmediately: true }) },
    });
  }

  private async change(wanted: WantedSchedule): Promise<undefined> {
    await this.client.getHandle(wanted.scheduleId).update((previous) => {
      if (!isOwned(previous, this.taskQueue)) throw new ForeignMeanwhile();
      return {
        spec: wanted.spec,
        action: actionWithDigest(wanted),
        policies: wanted.policies,
        // As it is at this moment: an operator may have paused it since the plan was made.
        state: pausedOf(wanted, previous.state),
      };
    });
  }

  private async delete(scheduleId: string): Promise<undefined> {
    const existing = await this.describe(scheduleId);
    if (!existing) return;
    if (!isOwned(existing, this.taskQueue)) throw new ForeignMeanwhile();
    await this.client.getHandle(scheduleId).delete();
  }

  private async deletions(wanted: ReadonlySet<string>, environment?: string): Promise<PlannedSchedule[]> {
    const candidates: { scheduleId: string; of: string }[] = [];
    for await (const { scheduleId, memo } of this.client.list({ query: OURS })) {
      if (wanted.has(scheduleId)) continue;
      const of = environmentOf(scheduleId);
      if (of === undefined || (environment !== undefined && of !== environment)) continue;
      if (isOwned({ memo }, this.taskQueue)) candidates.push({ scheduleId, of });
    }
    candidates.sort((a, b) => (a.scheduleId < b.scheduleId ? -1 : 1));
    const planned: PlannedSchedule[][] = [];
    await inLanes(candidates, LANES, async ({ scheduleId, of }, index) => {
      // The list lags behind: it may still hold what was deleted a moment ago.
      const existing = await this.describe(scheduleId);
      planned[index] = existing && isOwned(existing, this.taskQueue) ? [planDeletion(of, existing)] : [];
    });
    return planned.flat();
  }

  private async describe(scheduleId: string): Promise<ScheduleDescription | undefined> {
    try {
      return await this.client.getHandle(scheduleId).describe();
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    }
  }
}

/** Thrown when a schedule was replaced by somebody else's between plan and change. */
class ForeignMeanwhile extends Error {}

function actionWithDigest(wanted: WantedSchedule): WantedSchedule['action'] {
  return { ...wanted.action, memo: { [DIGEST_MEMO]: digestOf(readingOf(wanted)) } };
}

function failureText(error: unknown): string {
  if (error instanceof ForeignMeanwhile || error instanceof ScheduleAlreadyRunning) {
    return 'somebody else created one of this name meanwhile; it was left alone. See keyturn plan';
  }
  if (error instanceof ScheduleNotFoundError) return 'somebody deleted it meanwhile; apply again';
  return `Temporal did not take it: ${serverReason(error)}`;
}
