import type { UsageMetrics } from '../../activities/usage/metric-sums';
import { Cause } from '../../rotation/errors';
import { METRIC_LOOK_BACK_MS, metricText, startOf } from '../../rotation/usage-metric';
import type { UsageMetric } from '../../rotation/usage-metric';
import type { Check } from './check';
import { check, ok, warning } from './check';

const DAY_MS = 24 * 3_600_000;

/** Whether the metric that counts a secret's uses can be read, and has any data: a wrong dimension has none, which counts as 0. */
export async function checkUsageMetric(
  metrics: Pick<UsageMetrics, 'sum'>,
  secretId: string,
  metric: UsageMetric,
): Promise<Check> {
  const name = `uses of ${secretId}`;
  return check(
    name,
    async () => {
      const until = startOf(Date.now(), DAY_MS) + DAY_MS;
      const { uses, periods } = await metrics.sum(metric, {
        from: until - METRIC_LOOK_BACK_MS,
        until,
        periodMs: DAY_MS,
      });
      return periods > 0
        ? ok(name, `${metricText(metric)} can be read; ${uses} uses in two weeks`)
        : warning(
            name,
            `${metricText(metric)} can be read and has had no data for two weeks`,
            'If the secret was used, correct namespace, metric, dimensions (all that it is published with) or region of usesMetric.',
          );
    },
    { [Cause.TargetUnavailable]: 'Check AWS_REGION, AWS_ENDPOINT_URL and the network between here and AWS.' },
  );
}
