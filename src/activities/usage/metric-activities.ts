import { activityInfo } from '@temporalio/activity';
import type { WorkflowClient } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { Cause } from '../../rotation/errors';
import { inLanes } from '../../rotation/in-lanes';
import { secretIdOf } from '../../rotation/names';
import { USAGE_WORKFLOW, usageWorkflowId } from '../../rotation/usage';
import { WATCH_METRIC_SIGNAL } from '../../rotation/usage-metric';
import type { MetricSpan, UsageMetric } from '../../rotation/usage-metric';
import { readCatalog } from '../catalog';
import { failure } from '../failures';
import type { FleetCatalog } from '../fleet/survey';
import type { SecretAges } from '../secrets-manager/ages';
import type { StepInput } from '../step-input';
import type { MetricSum, UsageMetrics } from './metric-sums';

export interface SumUsageMetricInput extends StepInput {
  metric: UsageMetric;
  span: MetricSpan;
}

export interface StartUsageMonitorsInput extends StepInput {
  environment: string;
}

export interface UsageMetricDependencies {
  catalog: { load(): Promise<Pick<FleetCatalog, 'secrets'>> };
  ages: Pick<SecretAges, 'currentSince'>;
  usageMetrics: Pick<UsageMetrics, 'sum'>;
  workflows: Pick<WorkflowClient, 'signalWithStart'>;
}

const LANES = 10;
/** How many secrets a failure names. */
const NAMED = 5;

export function createUsageMetricActivities({ catalog, ages, usageMetrics, workflows }: UsageMetricDependencies) {
  return {
    /** When the version in use was made, in milliseconds since the epoch; absent when there is none. */
    async findVersionStart({ secretId }: StepInput): Promise<{ since?: number }> {
      const since = await ages.currentSince(secretId);
      return since === undefined ? {} : { since };
    },

    /** The uses that a metric counts in whole periods. */
    async sumUsageMetric({ metric, span }: SumUsageMetricInput): Promise<MetricSum> {
      return usageMetrics.sum(metric, span);
    },

    /**
     * Starts a monitor for each secret whose uses a metric counts, and tells those that run already. One that cannot be reached keeps no
     * other from being tried.
     *
     * @returns how many.
     * @throws Unexpected, once all were tried, with the names of those that could not be reached.
     */
    async startUsageMonitors({ environment }: StartUsageMonitorsInput): Promise<{ monitors: number }> {
      const { taskQueue } = activityInfo();
      const counted = await readCatalog(async () =>
        (await catalog.load()).secrets(environment).filter(({ usesMetric }) => usesMetric !== undefined),
      );
      const problems: { secret: string; error: unknown }[] = [];
      await inLanes(counted, LANES, async ({ secret }) => {
        try {
          await workflows.signalWithStart(USAGE_WORKFLOW, {
            workflowId: usageWorkflowId(environment, secret),
            taskQueue,
            args: [{ environment, secret }],
            signal: WATCH_METRIC_SIGNAL,
            staticSummary: `Count the uses of ${secretIdOf(environment, secret)}`,
          });
        } catch (error) {
          if (error instanceof CancelledFailure) throw error;
          problems.push({ secret, error });
        }
      });
      const [first] = problems;
      if (first) {
        const names = problems.slice(0, NAMED).map(({ secret }) => secret);
        const more = problems.length > NAMED ? ` and ${problems.length - NAMED} more` : '';
        const why = first.error instanceof Error ? first.error.message : 'unknown failure';
        throw failure(
          Cause.Unexpected,
          `the uses of ${names.join(', ')}${more} of ${environment} may not be counted, because their monitors could not be reached (${why}); those of the other ${counted.length - problems.length} are. It is tried again.`,
        );
      }
      return { monitors: counted.length };
    },
  };
}
