import { CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { USAGE_WATCH_WORKFLOW } from '../../src/rotation/usage-metric';
import { usageWorkflowId } from '../../src/rotation/usage';
import type { UsageStatus } from '../../src/rotation/usage';
import type { AwsCredentials } from '../lab/aws';
import type { Run } from './scan';
import type { Testbed } from './testbed';

const NAMESPACE = 'KeyturnTest';
const METRIC = 'Uses';

const LAB = { credentials: { accessKeyId: 'testing', secretAccessKey: 'testing' } };

/**
 * Secrets whose uses a metric counts, and the applications that publish it.
 *
 * @param aws where they publish it, if not in the lab's.
 */
export function createMeteredSecrets(bed: Testbed, aws: { endpoint?: string; credentials: AwsCredentials } = LAB) {
  const cloudWatch = new CloudWatchClient({
    endpoint: aws.endpoint ?? process.env['AWS_ENDPOINT_URL'],
    region: process.env['AWS_REGION'],
    // A copy: the SDK writes into what it is given.
    credentials: { ...aws.credentials },
  });
  const dimensionsOf = (secret: string) => ({ Environment: bed.environment, Secret: secret });
  const monitor = (secret: string) => bed.client.workflow.getHandle(usageWorkflowId(bed.environment, secret));

  return {
    monitor,
    metricName: (secret: string) => `${NAMESPACE} ${METRIC} {Environment=${bed.environment}, Secret=${secret}}`,
    status: (secret: string) => monitor(secret).query<UsageStatus>('status'),
    /** The shortest periods there are, which are counted as soon as they have ended. */
    usesMetric: (secret: string, more: Record<string, unknown> = {}) => ({
      namespace: NAMESPACE,
      metric: METRIC,
      dimensions: dimensionsOf(secret),
      period: '1 minute',
      settle: '0 minutes',
      ...more,
    }),
    async declare(secret: string, more: Record<string, unknown> = {}): Promise<void> {
      await bed.secrets.create(secret, `first-value-of-${secret}`);
      await bed.declare({ [secret]: { type: 'app-secret', usesMetric: this.usesMetric(secret), ...more } });
    },
    async publish(secret: string, uses: number, at = new Date()): Promise<void> {
      const Dimensions = Object.entries(dimensionsOf(secret)).map(([Name, Value]) => ({ Name, Value }));
      const datum = { MetricName: METRIC, Dimensions, Value: uses, Unit: 'Count' as const, Timestamp: at };
      await cloudWatch.send(new PutMetricDataCommand({ Namespace: NAMESPACE, MetricData: [datum] }));
    },
    /** As the schedule does every hour. */
    async watch(): Promise<{ monitors: number } & Run> {
      const { environment, taskQueue } = bed;
      const workflowId = `scheduled/usage/${environment}-${Date.now()}`;
      const args = [{ environment, requestedBy: 'schedule' }];
      const handle = await bed.client.workflow.start(USAGE_WATCH_WORKFLOW, { workflowId, taskQueue, args });
      return { ...(await handle.result()), workflowId, runId: handle.firstExecutionRunId };
    },
    async close(secrets: readonly string[]): Promise<void> {
      for (const secret of secrets) {
        await monitor(secret)
          .terminate('the test is over')
          .catch(() => undefined);
      }
      cloudWatch.destroy();
    },
  };
}

export type MeteredSecrets = ReturnType<typeof createMeteredSecrets>;
