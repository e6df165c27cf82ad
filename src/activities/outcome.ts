import { metricMeter } from '@temporalio/activity';
import type { RotationStatus } from '../rotation/types';
import type { SecretType } from '../rotation/names';
import type { StepInput } from './step-input';

export interface RecordOutcomeInput extends StepInput {
  environment: string;
  /** Absent when it ended before its plan was known. */
  type?: SecretType;
  outcome: NonNullable<RotationStatus['outcome']>;
  durationMs: number;
  /** VersionIds. */
  versions: { previous?: string; current?: string };
  /** For a rotation that failed: the step and the cause's type. */
  failedStep?: string;
  cause?: string;
}

export function createOutcomeActivities() {
  return {
    /** Counts a finished rotation. Its audit record is the one that every activity has. */
    async recordOutcome({ environment, type, outcome, durationMs }: RecordOutcomeInput): Promise<void> {
      const meter = metricMeter.withTags({ environment, type: type ?? 'unknown', outcome });
      meter.createCounter('keyturn_rotations', undefined, 'Rotations that ended').add(1);
      meter
        .createHistogram('keyturn_rotation_duration', 'float', 's', 'From start to end of a rotation')
        .record(durationMs / 1_000);
    },
  };
}
