import type { ApplicationFailure } from '@temporalio/common';
import { CloudWatchClient, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { CloudWatchClientConfig, MetricDataResult } from '@aws-sdk/client-cloudwatch';
import { Cause } from '../../rotation/errors';
import { metricText } from '../../rotation/usage-metric';
import type { MetricSpan, UsageMetric } from '../../rotation/usage-metric';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { outsideCall } from '../boundary/activity-scope';
import { failure } from '../failures';

/** What CloudWatch has of a metric in some periods. */
export interface MetricSum {
  /** The Sum over all of them, rounded up; 0 where there are no data. */
  uses: number;
  /** In how many of them there are data. */
  periods: number;
}

/** Reads sums of metrics. */
export interface UsageMetrics {
  /** @throws Throttled, PermissionDenied, TargetUnavailable; BadInput for what CloudWatch refuses, or what is no count. */
  sum(metric: UsageMetric, span: MetricSpan): Promise<MetricSum>;
  close(): void;
}

const ID = 'uses';
/** CloudWatch API Reference, GetMetricData, MaxDatapoints: the most that one answer holds. */
const MOST_IN_AN_ANSWER = 100_800;

/** A client for each region that metrics are in. */
export function createUsageMetrics(options: CloudWatchClientConfig): UsageMetrics {
  const clients = new Map<string, CloudWatchClient>();
  const clientIn = (region = ''): CloudWatchClient => {
    const client = clients.get(region) ?? new CloudWatchClient({ ...options, ...(region && { region }) });
    clients.set(region, client);
    return client;
  };
  return {
    async sum(metric, { from, until, periodMs }) {
      const client = clientIn(metric.region);
      // By its beginning, so that a period that two answers hold counts once.
      const found = new Map<number, number>();
      let NextToken: string | undefined;
      let status: string | undefined;
      do {
        const command = new GetMetricDataCommand({
          MetricDataQueries: [{ Id: ID, MetricStat: statOf(metric, periodMs) }],
          StartTime: new Date(from),
          EndTime: new Date(until),
          ScanBy: 'TimestampAscending',
          MaxDatapoints: MOST_IN_AN_ANSWER,
          NextToken,
        });
        const page = await outsideCall('cloudwatch', 'GetMetricData', () => client.send(command)).catch((error) => {
          throw toFailure(error, metric);
        });
        for (const result of page.MetricDataResults ?? []) {
          if (result.Id !== ID) continue;
          status = result.StatusCode;
          refuseProblem(result, metric);
          for (const [at, value] of pointsOf(result)) if (at >= from && at < until) found.set(at, value);
        }
        NextToken = page.NextToken;
      } while (NextToken);
      if (status !== 'Complete')
        throw failure(Cause.TargetUnavailable, `CloudWatch has not all of ${metricText(metric)} now.`);
      return { uses: sumOf(found, metric), periods: found.size };
    },
    close() {
      for (const client of clients.values()) client.destroy();
    },
  };
}

function statOf({ namespace, metric, dimensions }: UsageMetric, periodMs: number) {
  const Dimensions = Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));
  return {
    Metric: { Namespace: namespace, MetricName: metric, Dimensions },
    Period: periodMs / 1_000,
    Stat: 'Sum',
  };
}

function pointsOf({ Timestamps = [], Values = [] }: MetricDataResult): [number, number][] {
  return Timestamps.map((at, index) => [at.getTime(), Values[index] ?? NaN]);
}

function sumOf(found: ReadonlyMap<number, number>, metric: UsageMetric): number {
  let uses = 0;
  for (const [at, value] of found) {
    if (!(value >= 0 && Number.isFinite(value))) {
      throw failure(
        Cause.BadInput,
        `The Sum of ${metricText(metric)} at ${new Date(at).toISOString()} is ${value}, which is no number of uses. Name a metric that counts.`,
      );
    }
    uses += value;
  }
  return Math.ceil(uses);
}

/** CloudWatch API Reference, MetricDataResult, StatusCode; PartialData goes on with the next answer. */
function refuseProblem({ StatusCode }: MetricDataResult, metric: UsageMetric): void {
  if (StatusCode === 'Forbidden') throw notPermitted(metric, StatusCode);
  if (StatusCode === 'InternalError') {
    throw failure(Cause.TargetUnavailable, `CloudWatch could not read ${metricText(metric)} (${StatusCode}).`);
  }
}

function notPermitted(metric: UsageMetric, name: string): ApplicationFailure {
  return failure(
    Cause.PermissionDenied,
    `The worker may not call cloudwatch:GetMetricData, so that ${metricText(metric)} is not read (${name}). Grant it to the worker's IAM role, on *.`,
  );
}

/** The SDK's own message may quote the request and is not passed on. */
function toFailure(error: unknown, metric: UsageMetric): Error {
  const name = errorNameOf(error);
  if (name === 'CancelledFailure') return error as Error;
  switch (awsAnswerOf(error)) {
    case 'throttled':
      return failure(Cause.Throttled, `CloudWatch throttles GetMetricData of ${metricText(metric)}.`);
    case 'not-permitted':
      return notPermitted(metric, name);
    case 'refused':
      return failure(
        Cause.BadInput,
        `CloudWatch refuses GetMetricData of ${metricText(metric)} with ${name}. Correct usesMetric in the catalog.`,
      );
    case 'unanswered':
      return failure(
        Cause.TargetUnavailable,
        `CloudWatch did not answer GetMetricData of ${metricText(metric)} (${name}).`,
      );
  }
}
