import { ECSClient } from '@aws-sdk/client-ecs';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Client } from '@temporalio/client';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { Worker } from '@temporalio/worker';
import { IAMClient } from '@aws-sdk/client-iam';
import { SQSClient } from '@aws-sdk/client-sqs';
import { createActivities } from './activities';
import { createPostgresAuditLog } from './activities/audit/postgres-audit-log';
import { createApiKeyProviders } from './activities/api-keys/providers';
import { createBackupBucket } from './activities/backup/bucket';
import { createBackupEnvelope } from './activities/backup/envelope';
import { createActivityBoundary } from './activities/boundary/interceptor';
import { createEcsServices } from './activities/delivery/ecs';
import { createKubernetesClusters } from './activities/delivery/kubernetes/clusters';
import { createSnsClients } from './activities/notify/sns';
import { createKmsKeyUses } from './activities/events/kms-key-uses';
import { createPostgresServers } from './activities/postgres/server';
import { createSecretAges } from './activities/secrets-manager/ages';
import { createSecretStore } from './activities/secrets-manager/aws-store';
import { createUsageMetrics } from './activities/usage/metric-sums';
import { createCatalogSource } from './catalog';
import { AWS_CLIENT_OPTIONS, s3ClientOptions } from './runtime/aws-client-options';
import { NO_SINK, startCloudWatchMetrics } from './runtime/cloudwatch-metrics';
import type { Environment, WorkerConfig } from './runtime/config';
import { readWorkerConfig } from './runtime/config';
import { connectWorker } from './runtime/connect-worker';
import { countWorkers } from './runtime/count-workers';
import { createOwnIdentity } from './runtime/events/own-identity';
import { startEventPoller } from './runtime/events/poller';
import { startHealthServer } from './runtime/health';
import type { Logger } from './runtime/logging';
import { createLogger } from './runtime/logging';
import { createLogNotifier } from './runtime/log-notifier';
import { openPayloadEncryption } from './runtime/payload-encryption';
import { guardProcess } from './runtime/process-guards';
import type { WorkerParts } from './runtime/readiness';
import { workerReadiness } from './runtime/readiness';
import { StartupError } from './runtime/startup-error';
import { installTemporalRuntime } from './runtime/temporal-runtime';
import { openTracing } from './runtime/tracing/tracing';
import { buildOf, workerTuning } from './runtime/worker-tuning';
import { builtWorkflowBundle, bundleKind } from './runtime/workflow-bundles';
import { createWritePace, paceWrites } from './runtime/write-pace';

export interface KeyturnWorkerOptions {
  config: WorkerConfig;
  logger: Logger;
  /** Stand around Keyturn's own interceptor and so see of every activity what the server sees. */
  activityInterceptors?: ActivityInterceptorsFactory[];
  /** Ends the waiting for Temporal; its reason is thrown. */
  signal?: AbortSignal;
}

/** A worker that is connected and answers health checks. */
export interface KeyturnWorker {
  /** `host:port` of /healthz and /readyz. */
  healthAddress: string;
  /**
   * Works until {@link shutdown} or one of the runtime's shutdown signals, then closes all that the worker opened. Call
   * it once.
   *
   * @throws Error when a step did not end in time; before it, the SDK logs a GracefulShutdownPeriodExpiredError.
   */
  run(): Promise<void>;
  shutdown(): void;
}

/**
 * Wires the real adapters into the activities; nothing else does. Temporal's runtime must be installed before, by
 * {@link installTemporalRuntime} or a test environment.
 *
 * @throws StartupError when something that the worker needs is missing; everything it opened is closed again.
 */
export async function createKeyturnWorker(options: KeyturnWorkerOptions): Promise<KeyturnWorker> {
  const opened: Closer[] = [];
  try {
    return await assemble(options, opened);
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function assemble(options: KeyturnWorkerOptions, opened: Closer[]): Promise<KeyturnWorker> {
  const { config, logger, activityInterceptors = [], signal } = options;
  const { namespace } = config.temporal;
  const parts: WorkerParts = {};

  const encrypting = config.payloadKmsKey !== undefined;
  const workflowBundle = builtWorkflowBundle(bundleKind(encrypting, config.tracing !== undefined));
  // First, so that Kubernetes sees a live process while it waits for Temporal.
  const health = await startHealthServer(config.healthAddress, workerReadiness(parts));
  opened.push(() => health.close());
  const tracing = await openTracing(config.tracing, {
    service: 'keyturn-worker',
    batches: true,
    messages: !encrypting,
    onTrouble: (error) =>
      logger.warn({ event: 'traces-not-sent', error }, 'The collector takes no traces; they are dropped'),
    onRecovery: () => logger.info({ event: 'traces-sent' }, 'The collector takes traces again'),
  });
  opened.push(() => tracing?.close());
  const encryption = await openPayloadEncryption(config, (error) =>
    logger.warn({ error }, 'KMS gave no new data key; the one in use stays in use'),
  );
  opened.push(() => encryption?.close());
  const dataConverter = encryption?.dataConverter;
  const connection = await connectWorker(config, logger, signal);
  opened.push(() => connection.close());
  const secretsManager = new SecretsManagerClient(AWS_CLIENT_OPTIONS);
  opened.push(() => secretsManager.destroy());
  paceWrites(
    secretsManager,
    createWritePace(() => countWorkers(connection, namespace, config.taskQueue), config.secretWritesPerSecond),
  );
  // CreateAccessKey has no token: repeated by the SDK, it would make a second key.
  const iam = new IAMClient({ ...AWS_CLIENT_OPTIONS, maxAttempts: 1 });
  opened.push(() => iam.destroy());
  const sqs = new SQSClient(AWS_CLIENT_OPTIONS);
  opened.push(() => sqs.destroy());
  // UpdateService has no token: repeated by the SDK, it would start a second deployment.
  const ecs = new ECSClient({ ...AWS_CLIENT_OPTIONS, maxAttempts: 1 });
  opened.push(() => ecs.destroy());
  const sns = createSnsClients(AWS_CLIENT_OPTIONS);
  opened.push(() => sns.close());
  const cloudWatch = config.cloudWatchMetrics ? startCloudWatchMetrics(logger) : undefined;
  opened.push(() => cloudWatch?.close());
  const usageMetrics = createUsageMetrics(AWS_CLIENT_OPTIONS);
  opened.push(() => usageMetrics.close());
  const s3 = new S3Client(s3ClientOptions(process.env));
  opened.push(() => s3.destroy());
  const kms = new KMSClient(AWS_CLIENT_OPTIONS);
  opened.push(() => kms.destroy());
  const secrets = createSecretStore(secretsManager);
  const audit = createPostgresAuditLog(config.auditDatabaseUrl);
  opened.push(() => audit.close());

  const catalog = createCatalogSource(config.catalogPath);
  const { workflow: workflows, schedule: schedules } = new Client({
    connection,
    namespace,
    dataConverter,
    interceptors: { workflow: tracing?.client ?? [] },
  });

  const worker = await Worker.create({
    ...workerTuning(config),
    connection,
    namespace,
    taskQueue: config.taskQueue,
    workflowBundle,
    dataConverter,
    activities: createActivities({
      catalog,
      secrets,
      ages: createSecretAges(secretsManager),
      postgres: createPostgresServers(),
      apiKeys: createApiKeyProviders({ secrets, iam, sqs, stsOptions: AWS_CLIENT_OPTIONS }),
      kubernetes: createKubernetesClusters(),
      ecs: createEcsServices(ecs),
      backupBucket: createBackupBucket(s3),
      backupEnvelope: createBackupEnvelope(kms),
      metrics: cloudWatch ?? NO_SINK,
      notifiers: { sns, log: createLogNotifier(logger), env: process.env },
      keyUses: createKmsKeyUses(secretsManager, kms),
      usageMetrics,
      rotations: workflows,
      schedules,
      past: audit,
      reviewLog: audit,
    }),
    interceptors: {
      activity: [
        ...(tracing?.activity ?? []),
        ...activityInterceptors,
        createActivityBoundary({ audit, onOutsideCall: tracing?.onOutsideCall }),
      ],
    },
    ...(tracing && { sinks: tracing.sinks }),
  });
  Object.assign(parts, { connection, worker });

  return {
    healthAddress: health.address,
    shutdown() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    },
    async run() {
      const identity = createOwnIdentity();
      opened.push(() => identity.close());
      const events = startEventPoller({
        catalog,
        sqs,
        workflows,
        taskQueue: config.taskQueue,
        ownArn: () => identity.arn(),
        logger,
        ...(signal && { signal }),
      });
      opened.push(() => events.close());
      try {
        await worker.run();
      } finally {
        await closeAll(opened);
      }
    },
  };
}

type Closer = () => unknown;

/** Closes in the reverse order of opening; one that fails does not keep the others open. */
async function closeAll(opened: Closer[]): Promise<void> {
  for (const close of opened.reverse()) {
    try {
      await close();
    } catch {
      // The process is about to end, which closes it.
    }
  }
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a worker until SIGTERM or SIGINT, which let running steps finish. A second signal ends the process at once. When
 * it works it logs a line with `event: 'worker-ready'` and its addresses.
 *
 * @param activityInterceptors see {@link KeyturnWorkerOptions}.
 * @throws ConfigError and StartupError, with a message for the operator; anything else is a defect or a step that did
 * not end in time.
 */
export async function main(
  env: Environment = process.env,
  activityInterceptors: ActivityInterceptorsFactory[] = [],
): Promise<void> {
  const config = await readWorkerConfig(env);
  const logger = createLogger(config.logLevel);
  const stopping = new AbortController();
  const stop = () => stopping.abort(new StoppedEarly());
  for (const name of STOP_SIGNALS) process.once(name, stop);
  let worker: KeyturnWorker | undefined;
  let uncaught: { error: unknown } | undefined;
  const removeGuards = guardProcess(logger, (error) => {
    uncaught ??= { error };
    if (worker) worker.shutdown();
    else stopping.abort(error);
  });
  try {
    const metricsAddress = await installTemporalRuntime(config, logger);
    worker = await createKeyturnWorker({ config, logger, activityInterceptors, signal: stopping.signal });
    const running = worker.run();
    logger.info(
      {
        event: 'worker-ready',
        healthAddress: worker.healthAddress,
        metricsAddress,
        taskQueue: config.taskQueue,
        namespace: config.temporal.namespace,
        temporalAddress: config.temporal.address,
        build: buildOf(config),
        deployment: config.deployment?.name,
        payloadEncryption: config.payloadKmsKey !== undefined,
        tracing: config.tracing !== undefined,
      },
      'The worker takes tasks',
    );
    await running;
    if (uncaught) throw uncaught.error;
    logger.info({ event: 'worker-stopped' }, 'The worker has stopped');
  } catch (error) {
    if (!(error instanceof StoppedEarly)) throw error;
    logger.info({ event: 'worker-stopped' }, 'The worker was told to stop before it had started');
  } finally {
    for (const name of STOP_SIGNALS) process.off(name, stop);
    removeGuards();
  }
}

/** The stop signal came while the worker waited for Temporal. */
class StoppedEarly extends Error {
  override readonly name = 'StoppedEarly';
}

/** {@link main} as a program: it ends the process, and a failure is one message on stderr. */
export function runWorker(activityInterceptors: ActivityInterceptorsFactory[] = []): void {
  main(process.env, activityInterceptors).then(
    () => process.exit(),
    (error: unknown) => {
      if (error instanceof StartupError) process.stderr.write(`${error.message}\n`);
      else createLogger('info').fatal({ event: 'worker-failed', error }, 'The worker failed');
      // A step that ignores its cancellation must not keep a worker alive that no longer works.
      process.exit(1);
    },
  );
}

if (require.main === module) runWorker();
