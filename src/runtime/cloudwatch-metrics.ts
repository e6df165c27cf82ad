import type { MetricDatum, StandardUnit } from '@aws-sdk/client-cloudwatch';
import { CloudWatchClient, CloudWatchServiceException, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { MetricPoint, MetricSink } from '../activities/metrics';
import { AWS_CLIENT_OPTIONS } from './aws-client-options';
import type { Logger } from './logging';

const NAMESPACE = 'SecretRotation';
const EVERY_MS = 10_000;
/** CloudWatch API Reference, PutMetricData: 1,000 metrics and 1 MB for one request. */
const MOST_IN_A_REQUEST = 1_000;
/** What waits while CloudWatch cannot be reached; some 10 MB, and more than a fleet of a thousand secrets makes. */
const MOST_WAITING = 20_000;

/** CloudWatch API Reference, PutMetricData: time stamps may be up to two weeks past; a minute is for the way there. */
const OLDEST_MS = 14 * 24 * 3_600_000 - 60_000;
/** CloudWatch API Reference, PutMetricData, 'Errors': what is so however often it is tried; in the query protocol without `Exception`. */
const REFUSED_FOR_GOOD =
  /^(InvalidParameter(Value|Combination)|Missing(Required)?Parameter|Validation(Error)?|InvalidFormatFault)(Exception)?$/;
const CONTENT_TOO_LARGE = 413;

const UNIT: Record<MetricPoint['name'], StandardUnit> = {
  RotationSuccess: 'Count',
  RotationDuration: 'Seconds',
  SecretAge: 'None',
};

/** A sink that can be closed. */
export interface CloudWatchMetrics extends MetricSink {
  /** Sends what waits, once. */
  close(): Promise<void>;
}

/** Where there is no CloudWatch. */
export const NO_SINK: MetricSink = { add: () => undefined };

/**
 * Sends data points to CloudWatch every ten seconds, and a failure at once, many in one request: each for its secret, and again for its
 * whole environment, so that one alarm can watch all of it. While CloudWatch does not take them they wait, as far as 20,000 and for two
 * weeks; then the oldest are dropped. What CloudWatch refuses for good is dropped at once. Both are logged, except that the oldest of too
 * many are not.
 */
export function startCloudWatchMetrics(logger: Logger, everyMs = EVERY_MS): CloudWatchMetrics {
  const client = new CloudWatchClient(AWS_CLIENT_OPTIONS);
  let waiting: MetricDatum[] = [];
  let failing = false;
  let sending = Promise.resolve();

  async function send(): Promise<void> {
    dropOld();
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_IN_A_REQUEST);
      try {
        await client.send(new PutMetricDataCommand({ Namespace: NAMESPACE, MetricData: batch }));
      } catch (error) {
        if (isRefusedForGood(error)) {
          logger.warn(
            { event: 'metrics-dropped', points: batch.length, error },
            'CloudWatch refuses these metrics for good; they are dropped',
          );
          remove(batch);
          continue;
        }
        if (!failing) logger.warn({ event: 'metrics-not-sent', error }, 'CloudWatch takes no metrics; they wait');
        failing = true;
        return;
      }
      if (failing) logger.info({ event: 'metrics-sent' }, 'CloudWatch takes metrics again');
      failing = false;
      remove(batch);
    }
  }

  function remove(batch: readonly MetricDatum[]): void {
    const gone = new Set(batch);
    waiting = waiting.filter((datum) => !gone.has(datum));
  }

  function dropOld(): void {
    const oldest = Date.now() - OLDEST_MS;
    const old = waiting.filter(({ Timestamp }) => Timestamp !== undefined && Timestamp.getTime() < oldest);
    if (old.length === 0) return;
    logger.warn(
      { event: 'metrics-dropped', points: old.length },
      'CloudWatch takes no metrics that are older than two weeks; they are dropped',
    );
    remove(old);
  }

  let isSoon = false;
  const flush = () => {
    if (isSoon) return sending;
    isSoon = true;
    sending = sending.then(() => {
      isSoon = false;
      return send();
    });
    return sending;
  };
  const timer = setInterval(() => void flush(), everyMs);
  timer.unref();

  return {
    add(point) {
      waiting.push(...dataOf(point));
      if (waiting.length > MOST_WAITING) waiting = waiting.slice(-MOST_WAITING);
      // The worker may be killed within seconds, and nobody would hear of it.
      if (point.name === 'RotationSuccess' && point.value === 0) void flush();
    },
    async close() {
      clearInterval(timer);
      await flush();
      client.destroy();
    },
  };
}

function isRefusedForGood(error: unknown): boolean {
  if (!(error instanceof CloudWatchServiceException)) return false;
  return REFUSED_FOR_GOOD.test(error.name) || error.$metadata.httpStatusCode === CONTENT_TOO_LARGE;
}

function dataOf({ name, environment, secret, value, at }: MetricPoint): MetricDatum[] {
  const ofEnvironment = { Name: 'Environment', Value: environment };
  const datum = { MetricName: name, Value: value, Unit: UNIT[name], Timestamp: at };
  return [
    { ...datum, Dimensions: [ofEnvironment, { Name: 'SecretName', Value: secret }] },
    { ...datum, Dimensions: [ofEnvironment] },
  ];
}
