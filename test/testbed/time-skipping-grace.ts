import type { WorkflowHandle } from '@temporalio/client';
import type { RequestAccepted } from '../../src/rotation/types';
import type { TimeSkippingTestbed } from './time-skipping-testbed';
import { inPhase, statusOf } from './watching';

export const DAY_MS = 24 * 3_600_000;

/** A rotation in a grace period of 7 days, by the days since that began. */
export interface SevenDays {
  handle: WorkflowHandle;
  /** When a day ends, in milliseconds since 1970. */
  time(day: number): number;
  iso(day: number): string;
  /** Lets time pass until then. */
  untilDay(day: number): Promise<void>;
  update(name: string, request?: object): Promise<RequestAccepted>;
  /** How many days after its start the grace period was over. */
  daysOfGrace(): Promise<number>;
}

/** Waits until the rotation is in its grace period, which must last 7 days. */
export async function sevenDaysOf(bed: TimeSkippingTestbed, handle: WorkflowHandle): Promise<SevenDays> {
  const { graceEndsAt = '' } = await inPhase(handle, 'grace-period');
  const time = (day: number) => Date.parse(graceEndsAt) + (day - 7) * DAY_MS;
  return {
    handle,
    time,
    iso: (day) => new Date(time(day)).toISOString(),
    untilDay: (day) => bed.skipTo(time(day)),
    update: (name, request = {}) => handle.executeUpdate<RequestAccepted, [object]>(name, { args: [request] }),
    async daysOfGrace() {
      const { steps } = await statusOf(handle);
      const { endedAt = '' } = steps.find(({ name }) => name === 'gracePeriod') ?? {};
      return (Date.parse(endedAt) - time(0)) / DAY_MS;
    },
  };
}
