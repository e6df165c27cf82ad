import { Runtime } from '@temporalio/worker';
import { HISTOGRAM_BUCKETS } from '../activities/metrics';
import type { ListenAddress } from './addresses';
import { claimPort, formatAddress } from './addresses';
import type { WorkerConfig } from './config';
import type { Logger } from './logging';
import { temporalLevel, temporalLogger } from './logging';
import { StartupError } from './startup-error';

/**
 * Sets Temporal's process-wide runtime up, once per process and before the first connection: logs through ours, metrics
 * for Prometheus under `/metrics`, an orderly shutdown on SIGTERM and SIGINT.
 *
 * @returns where the metrics are served, as `host:port`.
 * @throws StartupError when the metrics address cannot be listened on.
 */
export async function installTemporalRuntime(config: WorkerConfig, logger: Logger): Promise<string> {
  const bindAddress = formatAddress(await claimMetricsAddress(config.metricsAddress));
  Runtime.install({
    logger: temporalLogger(logger),
    telemetryOptions: {
      logging: { filter: { core: temporalLevel(config.logLevel), other: 'WARN' }, forward: {} },
      metrics: {
        prometheus: { bindAddress, histogramBucketOverrides: HISTOGRAM_BUCKETS },
      },
    },
    shutdownSignals: ['SIGTERM', 'SIGINT'],
  });
  return bindAddress;
}

async function claimMetricsAddress(address: ListenAddress): Promise<ListenAddress> {
  try {
    return await claimPort(address);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new StartupError(
      `KEYTURN_METRICS_ADDRESS: cannot listen on ${formatAddress(address)} (${code}). Nothing was started. Free the port or set another; port 0 takes any free one.`,
    );
  }
}
