import { metricMeter } from '@temporalio/activity';
import type { SecretType } from '../rotation/names';
import type { RotationStatus } from '../rotation/types';

const DAY_MS = 86_400_000;
const DAY_S = 86_400;

const ROTATION_DURATION = 'keyturn_rotation_duration';

/**
 * The upper ends of the buckets of histograms, by metric; those of the SDK are for milliseconds. Rotations take from a tenth of a second
 * to a grace period of weeks; seven days, the usual one, have a bucket of their own.
 */
export const HISTOGRAM_BUCKETS = {
  [ROTATION_DURATION]: [
    ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400],
    ...[1, 3, 7, 8, 14, 30].map((days) => days * DAY_S),
  ],
};

/** Takes data points for somewhere outside; it must neither fail nor be waited for. */
export interface MetricSink {
  add(point: MetricPoint): void;
}

export interface MetricPoint {
  name: 'RotationSuccess' | 'RotationDuration' | 'SecretAge';
  environment: string;
  secret: string;
  /** 0 or 1, seconds, or days. */
  value: number;
  at: Date;
}

type RotationOutcome = NonNullable<RotationStatus['outcome']>;

export interface EndedRotation {
  environment: string;
  secret: string;
  type?: SecretType;
  outcome: RotationOutcome;
  durationMs: number;
}

/** Whether an outcome is a success or a failure of a rotation; neither when nobody wanted the secret to be rotated in the end. */
function succeeded(outcome: RotationOutcome): boolean | undefined {
  switch (outcome) {
    case 'rotated':
    case 'unchanged':
      return true;
    case 'restored':
    case 'delivered':
    case 'aborted':
    case 'dry-run':
      return undefined;
    case 'refused':
    case 'rolled-back':
    case 'rollback-incomplete':
    case 'retirement-incomplete':
      return false;
  }
}

/** Counts a rotation that has ended, for Prometheus and for the sink. Only within an activity. */
export function measureRotation(rotation: EndedRotation, sink: MetricSink): void {
  const { environment, secret, type, outcome, durationMs } = rotation;
  const meter = metricMeter.withTags({ environment, type: type ?? 'unknown', outcome });
  meter.createCounter('keyturn_rotations', undefined, 'Rotations that ended').add(1);
  meter.createHistogram(ROTATION_DURATION, 'float', 's', 'From start to end of a rotation').record(durationMs / 1_000);

  const success = succeeded(outcome);
  if (success === undefined) return;
  const at = new Date();
  // Times rather than counts: they say by themselves which of the two was last, whichever worker it was on.
  metricMeter
    .withTags({ environment, secret })
    .createGauge(
      success ? 'keyturn_rotation_success_timestamp_seconds' : 'keyturn_rotation_failure_timestamp_seconds',
      'float',
      's',
      `When a rotation of the secret last ${success ? 'succeeded' : 'failed'}`,
    )
    .set(at.getTime() / 1_000);
  sink.add({ name: 'RotationSuccess', environment, secret, value: success ? 1 : 0, at });
  sink.add({ name: 'RotationDuration', environment, secret, value: durationMs / 1_000, at });
  if (outcome === 'rotated') measureAge({ environment, secret, ageMs: 0 }, sink);
}

/** Notes how old a secret's current version is, for Prometheus and for the sink. Only within an activity. */
export function measureAge(
  { environment, secret, ageMs }: { environment: string; secret: string; ageMs: number },
  sink: MetricSink,
): void {
  metricMeter
    .withTags({ environment, secret })
    .createGauge(
      'keyturn_secret_age_seconds',
      'float',
      's',
      "The age of the secret's current version when it was last looked at",
    )
    .set(ageMs / 1_000);
  const at = new Date();
  // The age stays when the secret is changed or deleted; by this the reader knows what it is worth.
  metricMeter
    .withTags({ environment, secret })
    .createGauge(
      'keyturn_secret_age_measured_timestamp_seconds',
      'float',
      's',
      "When the age of the secret's current version was last looked at",
    )
    .set(at.getTime() / 1_000);
  sink.add({ name: 'SecretAge', environment, secret, value: ageMs / DAY_MS, at });
}

/** Notes that the ages of all secrets of an environment have been looked at, for Prometheus. Only within an activity. */
export function measureAgeCheck(environment: string): void {
  metricMeter
    .withTags({ environment })
    .createGauge(
      'keyturn_age_check_timestamp_seconds',
      'float',
      's',
      'When the ages of all secrets of the environment were last looked at',
    )
    .set(Date.now() / 1_000);
}
