import { ECSClient } from '@aws-sdk/client-ecs';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { createApiKeyProviders } from '../../activities/api-keys/providers';
import { createBackupBucket } from '../../activities/backup/bucket';
import { createBackupEnvelope } from '../../activities/backup/envelope';
import { runInActivityScope } from '../../activities/boundary/activity-scope';
import { createEcsCalls } from '../../activities/delivery/ecs-calls';
import { connectedClusters } from '../../activities/delivery/kubernetes/cluster';
import { createSnsClients } from '../../activities/notify/sns';
import { createCredentials } from '../../activities/postgres/credentials';
import { createPostgresServers } from '../../activities/postgres/server';
import { createSecretStore } from '../../activities/secrets-manager/aws-store';
import type { SecretStore } from '../../activities/secrets-manager/store';
import { createUsageMetrics } from '../../activities/usage/metric-sums';
import type { Catalog } from '../../catalog';
import type { Dependent } from '../../rotation/dependents';
import type { RotationPlan } from '../../rotation/plan';
import { AWS_CLIENT_OPTIONS, s3ClientOptions } from '../../runtime/aws-client-options';
import { readConfig } from '../../runtime/config';
import type { Config, Environment } from '../../runtime/config';
import { inLanes } from '../../rotation/in-lanes';
import { NoRotationFound } from '../errors';
import { openCatalog, withKeyturn } from '../session';
import { checkApiKey } from './api-key-checks';
import type { ApiKeyAccess } from './api-key-checks';
import { checkAuditDatabase } from './audit-check';
import { checkAws, checkSecret } from './aws-checks';
import { checkBackups } from './backup-checks';
import { checkChannels } from './channel-checks';
import type { Check } from './check';
import { failedBy, ok, skipped } from './check';
import { checkDatabase } from './database-checks';
import type { DatabaseAccess } from './database-checks';
import { checkHttpDependent } from './dependent-check';
import { checkEcsDependent } from './ecs-check';
import type { EcsAccess } from './ecs-check';
import { checkKubernetesDependent } from './kubernetes-checks';
import type { KubernetesAccess } from './kubernetes-checks';
import { checkTemporal } from './temporal-checks';
import { checkUsageMetric } from './usage-metric-check';

/** How many secrets are looked at at once. */
const LANES = 8;

/** Looks at everything that a rotation needs, changes nothing, and never tells a secret value. */
export async function examine(env: Environment): Promise<Check[]> {
  // The scope keeps values out of messages, as it does in the worker.
  return runInActivityScope(async () => {
    let config: Config;
    try {
      config = readConfig(env);
    } catch (error) {
      return [failedBy('configuration', error), skipped('everything else', 'needs the configuration')];
    }
    const [temporal, audit, secrets] = await Promise.all([
      checkTemporal(config),
      checkAuditDatabase(config.auditDatabaseUrl),
      checkCatalogAndSecrets(config, env),
    ]);
    return [ok('configuration', 'every setting is well-formed'), ...temporal, audit, ...secrets];
  });
}

async function checkCatalogAndSecrets(config: Config, env: Environment): Promise<Check[]> {
  let catalog: Catalog;
  try {
    catalog = await openCatalog(config);
  } catch (error) {
    return [failedBy('catalog', error), skipped('secrets', 'need the catalog')];
  }
  const plans = catalog.secrets().map(({ environment, secret }) => catalog.plan(environment, secret));

  const declared = ok(
    'catalog',
    `${config.catalogPath} declares ${plans.length === 1 ? 'one secret' : `${plans.length} secrets`}`,
  );
  const client = new SecretsManagerClient(AWS_CLIENT_OPTIONS);
  const ecs = new ECSClient(AWS_CLIENT_OPTIONS);
  const sns = createSnsClients(AWS_CLIENT_OPTIONS);
  const keyClients = { iam: new IAMClient(AWS_CLIENT_OPTIONS), sqs: new SQSClient(AWS_CLIENT_OPTIONS) };
  try {
    const secrets = createSecretStore(client);
    const systems: Systems = {
      secrets,
      databases: { postgres: createPostgresServers(), credentials: createCredentials(secrets) },
      apiKeys: {
        secrets,
        providers: createApiKeyProviders({ secrets, ...keyClients, stsOptions: AWS_CLIENT_OPTIONS }),
        isRotating: (environment, secret) => isRotating(config, environment, secret),
      },
      kubernetes: { clusterOf: connectedClusters(), secrets },
      ecs: createEcsCalls(ecs),
    };
    const aws = await checkAws(client);
    if (aws.some(({ state }) => state === 'failed')) {
      const unseen = ['secrets', 'channels and backups'];
      return [declared, ...aws, ...unseen.map((what) => skipped(what, 'need the AWS region and credentials'))];
    }
    const perSecret: Check[][] = [];
    await inLanes(plans, LANES, async (plan, index) => {
      perSecret[index] = await checkPlan(systems, plan);
    });
    // Channels are the same for all environments.
    const channels = await checkChannels({ stores: { secrets, env }, sns }, catalog.notifications(''));
    return [
      ...[declared, ...aws, ...perSecret.flat(), ...(await checkAllUsageMetrics(catalog))],
      ...[...channels, ...(await checkAllBackups(env, catalog))],
    ];
  } finally {
    client.destroy();
    ecs.destroy();
    sns.close();
    keyClients.iam.destroy();
    keyClients.sqs.destroy();
  }
}

async function checkAllUsageMetrics(catalog: Catalog): Promise<Check[]> {
  const metrics = createUsageMetrics(AWS_CLIENT_OPTIONS);
  const counted = catalog
    .secrets()
    .flatMap(({ secretId, usesMetric }) => (usesMetric ? [{ secretId, usesMetric }] : []));
  const checks: Check[] = [];
  try {
    await inLanes(counted, LANES, async ({ secretId, usesMetric }, index) => {
      checks[index] = await checkUsageMetric(metrics, secretId, usesMetric);
    });
    return checks;
  } finally {
    metrics.close();
  }
}

async function checkAllBackups(env: Environment, catalog: Catalog): Promise<Check[]> {
  const s3 = new S3Client(s3ClientOptions(env));
  const kms = new KMSClient(AWS_CLIENT_OPTIONS);
  const access = { bucket: createBackupBucket(s3), envelope: createBackupEnvelope(kms) };
  const checks: Check[][] = [];
  try {
    await inLanes(catalog.environments(), LANES, async ({ environment }, index) => {
      const backup = catalog.backup(environment);
      if (backup) checks[index] = await checkBackups(access, environment, backup);
    });
    return checks.flat();
  } finally {
    s3.destroy();
    kms.destroy();
  }
}

interface Systems {
  secrets: SecretStore;
  databases: DatabaseAccess;
  apiKeys: ApiKeyAccess;
  kubernetes: KubernetesAccess;
  ecs: EcsAccess;
}

async function checkPlan(systems: Systems, plan: RotationPlan): Promise<Check[]> {
  const { secrets, databases, apiKeys } = systems;
  const secret = await checkSecret(secrets, plan);
  const usable = secret.state !== 'failed';
  const checks = [secret];
  if (plan.type === 'database') {
    if (usable) checks.push(...(await checkDatabase(databases, plan)));
    else checks.push(skipped(`database of ${plan.secretId}`, 'needs its secret'));
  }
  if (plan.type === 'api-key') {
    if (usable) checks.push(...(await checkApiKey(apiKeys, plan)));
    else checks.push(skipped(`provider of ${plan.secretId}`, 'needs its secret'));
  }
  for (const dependent of plan.dependents) checks.push(...(await checkDependent(systems, plan.secretId, dependent)));
  return checks;
}

async function checkDependent(systems: Systems, secretId: string, dependent: Dependent): Promise<Check[]> {
  switch (dependent.kind) {
    case 'http':
      return [await checkHttpDependent(secretId, dependent)];
    case 'kubernetes':
      return checkKubernetesDependent(systems.kubernetes, secretId, dependent);
    case 'ecs':
      return checkEcsDependent(systems.ecs, secretId, dependent);
  }
}

async function isRotating(config: Config, environment: string, secret: string): Promise<boolean | undefined> {
  try {
    return await withKeyturn(config, async (keyturn) => {
      const { execution } = await keyturn.status(environment, secret);
      return execution === 'running';
    });
  } catch (error) {
    // Why Temporal does not answer is told by its own check.
    return error instanceof NoRotationFound ? false : undefined;
  }
}
