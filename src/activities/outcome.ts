import type { RotationStatus } from '../rotation/types';
import type { SecretType } from '../rotation/names';
import { parseSecretId } from '../rotation/names';
import type { MetricSink } from './metrics';
import { measureRotation } from './metrics';
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

export function createOutcomeActivities(metrics: MetricSink) {
  return {
    /** Counts a finished rotation. Its audit record is the one that every activity has. */
    async recordOutcome({ secretId, environment, type, outcome, durationMs }: RecordOutcomeInput): Promise<void> {
      const secret = parseSecretId(secretId)?.secret ?? secretId;
      measureRotation({ environment, secret, type, outcome, durationMs }, metrics);
    },
  };
}
