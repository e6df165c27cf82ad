import type { z } from 'zod';
import type { UsageMetric } from '../rotation/usage-metric';
import type { usesMetric } from './schema/usage-metric';

const MINUTE_MS = 60_000;
const PERIOD_MS = 15 * MINUTE_MS;
const SETTLE_MS = 15 * MINUTE_MS;

/** The metric that a secret's uses are counted by, with all defaults filled in. */
export function usageMetricOf({
  namespace,
  metric,
  dimensions = {},
  region,
  period = PERIOD_MS,
  settle = SETTLE_MS,
}: z.output<typeof usesMetric>): UsageMetric {
  return { namespace, metric, dimensions, ...(region !== undefined && { region }), periodMs: period, settleMs: settle };
}
