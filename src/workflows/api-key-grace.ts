import { isCancellation } from '@temporalio/workflow';
import { formatDuration } from '../rotation/durations';
import type { ApiKeyPlan } from '../rotation/plan';
import { aboutKey, oldExpiry } from './api-key-steps';
import type { StepActivities } from './saga/activities';
import { causeOf } from './saga/failures';
import type { Announcement } from './saga/grace-period';
import type { RotationContext, Step } from './saga/step';

const HOUR_MS = 3_600_000;

/** People are reminded a day and an hour before. */
const REMIND_BEFORE_MS = [24 * HOUR_MS, HOUR_MS];

/** Writes it where applications read it. Each time makes a version of its own, also when an earlier one may be half done. */
export async function announceTo(
  context: RotationContext<ApiKeyPlan>,
  write: StepActivities['write'],
  announcement: Announcement,
): Promise<void> {
  const { keys } = context;
  keys.announcements++;
  await write.announceGracePeriod({
    ...aboutKey(context),
    announcement: keys.announcements,
    last: keys.lastAnnouncement,
    ...announcement,
  });
  keys.lastAnnouncement = keys.announcements;
}

/** The latest that the grace period may end, in milliseconds since the epoch. */
export function latestEnd(context: RotationContext<ApiKeyPlan>, graceStart: number): number {
  return Math.min(graceStart + context.plan.maxGracePeriodMs, oldExpiry(context));
}

export const gracePeriod: Step<ApiKeyPlan> = {
  name: 'gracePeriod',
  summary: ({ plan }) => `let both keys work for ${formatDuration(plan.gracePeriodMs)}`,
  when: ({ plan }) => plan.gracePeriodMs > 0,
  run: async (context, { write, waitOutGracePeriod, graceStart, tell }) => {
    const { plan, keys } = context;
    const endsAt = keys.graceEndsAt ?? graceStart() + plan.gracePeriodMs;
    await waitOutGracePeriod({
      endsAt,
      latest: latestEnd(context, graceStart()),
      phaseIn: plan.phaseIn,
      announced: { graceEndsAt: new Date(endsAt).toISOString(), phaseInPercent: 0 },
      announce: async (announcement) => {
        try {
          await announceTo(context, write, announcement);
          return true;
        } catch (error) {
          // Days of grace are not thrown away because a share could not be written.
          if (isCancellation(error)) throw error;
          const warning = `A change of the grace period was not written to ${plan.secondarySecretId}: ${causeOf(error).message}`;
          if (!context.warnings.includes(warning)) context.warnings.push(warning);
          return false;
        }
      },
      remindBefore: REMIND_BEFORE_MS,
      remind: (leftMs) =>
        tell({
          event: 'grace-ending',
          severity: 'info',
          message: `The grace period of ${plan.secretId} ends in ${formatDuration(leftMs)}: then the new key is promoted. To prolong it: keyturn extend ${plan.secretId} --by '1 day'. To undo the rotation: keyturn abort ${plan.secretId}.`,
        }),
    });
  },
};
