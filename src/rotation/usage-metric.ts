/** The workflow type that sees to it that the uses of an environment's secrets are counted whose metrics the catalog names. */
export const USAGE_WATCH_WORKFLOW = 'watchUsageMetrics';

/** The signal by which a monitor is told that the catalog names a metric for its secret. */
export const WATCH_METRIC_SIGNAL = 'watchMetric';

/** The one argument of `watchUsageMetrics`. */
export interface WatchUsageMetricsInput {
  environment: string;
  /** Why, for the audit trail. */
  reason?: string;
  /** Who, for the audit trail. */
  requestedBy?: string;
}

/** A metric of CloudWatch whose Sum is how often a secret was used. Times are milliseconds. */
export interface UsageMetric {
  namespace: string;
  metric: string;
  /** All that the metric was published with. */
  dimensions: Record<string, string>;
  /** The worker's own when absent. */
  region?: string;
  /** Whole minutes, and a day is a multiple of it. */
  periodMs: number;
  /** How long after a period's end its data may still come. */
  settleMs: number;
}

/** Whole periods that follow one another. Times are milliseconds since the epoch; `until` is not part of it. */
export interface MetricSpan {
  from: number;
  until: number;
  periodMs: number;
}

/** Where counting stands. Times are milliseconds since the epoch. */
export interface MetricProgress {
  /** The end of the last period that was counted; always a whole minute. */
  countedUntil: number;
  /** From when on uses are those of the version in use. */
  since: number;
}

/**
 * How far back a metric is read: PutMetricData takes data that are two weeks old, and CloudWatch keeps those of a minute for 15 days
 * (CloudWatch API Reference, 'PutMetricData', 'GetMetricData').
 */
export const METRIC_LOOK_BACK_MS = 14 * 24 * 3_600_000;

const MINUTE_MS = 60_000;

/**
 * The periods to count next: closed, not counted yet, and all of one version. `undefined` when there are none.
 *
 * The period in which a version came is the new version's as a whole: to count too many rotates early, never late. After the catalog has
 * changed the period, minutes are read up to the first period that begins where the new ones do.
 */
export function nextSpan(progress: MetricProgress, metric: UsageMetric, now: number): MetricSpan | undefined {
  const closed = startOf(now - metric.settleMs, metric.periodMs);
  const from = Math.max(progress.countedUntil, oldestFrom(metric, now));
  if (from >= closed) return undefined;
  const isWhole = from % metric.periodMs === 0;
  const periodMs = isWhole ? metric.periodMs : MINUTE_MS;
  const until = isWhole ? closed : startOf(from, metric.periodMs) + metric.periodMs;
  const versionFrom = startOf(progress.since, periodMs);
  return { from, until: from < versionFrom ? Math.min(until, versionFrom) : until, periodMs };
}

/** Whether periods are those of the version in use. */
export function isOfVersion({ from, periodMs }: MetricSpan, { since }: MetricProgress): boolean {
  return from >= startOf(since, periodMs);
}

/** When the next period is closed. */
export function nextClosedAt(countedUntil: number, { periodMs, settleMs }: UsageMetric): number {
  return startOf(countedUntil, periodMs) + periodMs + settleMs;
}

/** The beginning of the first period that is not too old to be read. */
export function oldestFrom({ periodMs }: UsageMetric, now: number): number {
  return startOf(now - METRIC_LOOK_BACK_MS, periodMs) + periodMs;
}

/** The beginning of the period that a time is in. */
export function startOf(time: number, periodMs: number): number {
  return Math.floor(time / periodMs) * periodMs;
}

/** `namespace metric {name=value}`, for messages. */
export function metricText({
  namespace,
  metric,
  dimensions,
}: Pick<UsageMetric, 'namespace' | 'metric' | 'dimensions'>): string {
  const named = Object.entries(dimensions).map(([name, value]) => `${name}=${value}`);
  return [namespace, metric, ...(named.length > 0 ? [`{${named.join(', ')}}`] : [])].join(' ');
}
