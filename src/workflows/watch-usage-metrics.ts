import { isCancellation } from '@temporalio/workflow';
import { USAGE_REFUSED } from '../rotation/errors';
import { secretIdOf } from '../rotation/names';
import type { WatchUsageMetricsInput } from '../rotation/usage-metric';
import { noteChanges } from './changes';
import { activitiesFor } from './saga/activities';
import { checkEnvironmentInput } from './saga/environment-input';
import { causeOf, environmentFailed } from './saga/failures';
import { concernsOthers, tellOfFailedLook } from './saga/refusals';

/** How long it is tried; the next run by schedule tries again. */
const START_MS = 15 * 60_000;

/**
 * Has the uses counted of all secrets of an environment whose metrics the catalog names: starts `monitorUsage` for each, and tells those
 * that run already. A schedule starts it again and again, so that a monitor that was ended comes back.
 *
 * @throws UsageRefused for a malformed input, or an environment that the catalog does not declare.
 */
export async function watchUsageMetrics(input: WatchUsageMetricsInput): Promise<{ monitors: number }> {
  noteChanges();
  try {
    checkEnvironmentInput(input, ['environment', 'reason', 'requestedBy']);
    const { environment, requestedBy, reason } = input;
    return await activitiesFor({
      subject: { secretId: secretIdOf(environment, '*'), requestedBy, reason },
      step: 'startUsageMonitors',
      summary: `have the uses counted that metrics of ${environment} tell`,
      limitMs: START_MS,
      onAuditDown: () => undefined,
    }).write.startUsageMonitors({ environment });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const cause = causeOf(error);
    if (concernsOthers(cause)) {
      await tellOfFailedLook(input, cause, {
        what: 'usage',
        consequence: `It could not be seen to that the uses in ${input.environment} are counted which metrics tell`,
        next: 'keyturn doctor',
      });
    }
    throw environmentFailed(USAGE_REFUSED, 'startUsageMonitors', cause);
  }
}
