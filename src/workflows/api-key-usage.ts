import { formatDuration } from '../rotation/durations';
import { Cause } from '../rotation/errors';
import type { ApiKeyPlan } from '../rotation/plan';
import { latestEnd } from './api-key-grace';
import { aboutKey, usesOldKey } from './api-key-steps';
import { refuse } from './saga/failures';
import type { KeysOfRotation, Step } from './saga/step';

/** What the rotation itself did with the key does not count; the use before that does. */
const withoutOwnUse = ({ ownUse, oldLastUsedAt }: KeysOfRotation, lastUsedAt: string | undefined) =>
  ownUse !== undefined && lastUsedAt === ownUse ? oldLastUsedAt : lastUsedAt;

/** Revokes no key that somebody uses: the grace period is prolonged until the old one has been quiet, up to its maximum. */
export const waitForQuiet: Step<ApiKeyPlan> = {
  name: 'waitForQuiet',
  summary: ({ plan }) => `see that nobody has used the old key for ${formatDuration(plan.quietPeriodMs)}`,
  when: (context) => {
    const { plan, input, keys } = context;
    return usesOldKey(context) && keys.can.tellUse && plan.quietPeriodMs > 0 && !input.emergency;
  },
  run: async (context, { read, waitOutGracePeriod, graceStart, graceWasEnded, tell }) => {
    const { plan, keys, warnings } = context;
    const keyId = keys.old ?? '';
    const latest = latestEnd(context, graceStart());
    for (let looks = 1; ; looks++) {
      const { lastUsedAt: told } = await read.lastUseOfKey({ ...aboutKey(context), keyId });
      const lastUsedAt = withoutOwnUse(keys, told);
      const quietAt = lastUsedAt === undefined ? 0 : Date.parse(lastUsedAt) + plan.quietPeriodMs;
      if (quietAt <= Date.now()) return;

      const used = `The old key ${keyId} of ${plan.secretId} was last used at ${lastUsedAt}`;
      if (looks > 1 && graceWasEnded()) {
        warnings.push(`${used}; an operator ended the waiting, and it was revoked.`);
        return;
      }
      if (Date.now() >= latest) {
        const over = `${used}, and the longest grace period (${formatDuration(plan.maxGracePeriodMs)}) is over`;
        if (plan.onStillUsed === 'fail') {
          await tell({ event: 'still-used', severity: 'warning', message: `${over}: the rotation is undone.` });
          throw refuse(
            Cause.KeyStillUsed,
            `${over}. Find out who uses it and rotate again, or let the catalog say onStillUsed: revoke.`,
          );
        }
        warnings.push(`${over}; it was revoked, as the catalog says.`);
        await tell({ event: 'still-used', severity: 'warning', message: `${over}: it is revoked now.` });
        return;
      }
      if (looks === 1) {
        await tell({
          event: 'still-used',
          severity: 'warning',
          message: `${used}. It is not revoked before nobody has used it for ${formatDuration(plan.quietPeriodMs)}, at the latest at ${new Date(latest).toISOString()}. To revoke it now: keyturn end-grace ${plan.secretId}.`,
        });
      }
      await waitOutGracePeriod({ endsAt: Math.min(quietAt, latest), latest });
    }
  },
};
