import { ApplicationFailure, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowClient } from '@temporalio/client';
import { Cause } from '../../rotation/errors';
import type { RotationResult } from '../../rotation/types';
import type { UsageMetric } from '../../rotation/usage-metric';
import { readCatalog } from '../catalog';
import { failure } from '../failures';
import type { FleetCatalog } from '../fleet/survey';
import type { SecretStore } from '../secrets-manager/store';
import type { StepInput } from '../step-input';

export interface LookUpUsageInput extends StepInput {
  environment: string;
  secret: string;
  /** A rotation that was started because of the uses. */
  rotation?: { workflowId: string; runId: string };
}

/** What counting needs to know of a secret. */
export interface UsageFacts {
  /** The catalog's `rotateAfterUses`. */
  limit?: number;
  /** The catalog's `usesMetric`. */
  metric?: UsageMetric;
  /** VersionId of AWSCURRENT; absent when there is none. */
  version?: string;
  /** How the rotation ended; absent while it runs. */
  ended?: EndedRotation;
}

export interface EndedRotation {
  /** The new VersionId; absent when it brought none. */
  version?: string;
  /** Why it brought none. */
  problem?: string;
}

export interface UsageDependencies {
  catalog: { load(): Promise<Pick<FleetCatalog, 'secrets'>> };
  secrets: Pick<SecretStore, 'inspect'>;
  workflows: Pick<WorkflowClient, 'getHandle'>;
}

export function createUsageActivities({ catalog, secrets, workflows }: UsageDependencies) {
  async function endOf({
    workflowId,
    runId,
  }: {
    workflowId: string;
    runId: string;
  }): Promise<EndedRotation | undefined> {
    const handle = workflows.getHandle(workflowId, runId);
    try {
      const { status } = await handle.describe();
      if (status.name === 'RUNNING' || status.name === 'PAUSED') return undefined;
      const { outcome, versions } = (await handle.result()) as RotationResult;
      return outcome === 'rotated' && versions.current !== undefined
        ? { version: versions.current }
        : { problem: `the rotation ended with ${outcome}` };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return { problem: 'Temporal no longer knows the rotation' };
      if (!(error instanceof WorkflowFailedError)) throw error;
      const { cause } = error;
      return { problem: cause instanceof ApplicationFailure ? cause.message : 'the rotation was ended from outside' };
    }
  }

  return {
    /** After how many uses the secret is rotated, which version is in use, and how the rotation stands. @throws UnknownSecret */
    async lookUpUsage({ environment, secret, secretId, rotation }: LookUpUsageInput): Promise<UsageFacts> {
      const declared = await readCatalog(async () =>
        (await catalog.load()).secrets(environment).find((known) => known.secret === secret),
      );
      if (!declared) {
        throw failure(
          Cause.UnknownSecret,
          `the catalog declares no secret ${secret} in the environment ${environment}`,
        );
      }
      const ended = rotation && (await endOf(rotation));
      const { labels } = await secrets.inspect(secretId);
      return {
        ...(declared.rotateAfterUses !== undefined && { limit: declared.rotateAfterUses }),
        ...(declared.usesMetric !== undefined && { metric: declared.usesMetric }),
        ...(labels.current !== undefined && { version: labels.current }),
        ...(ended && { ended }),
      };
    },
  };
}
