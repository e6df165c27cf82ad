import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { runInActivityScope } from '../../activities/boundary/activity-scope';
import { createCredentials } from '../../activities/postgres/credentials';
import { createPostgresServers } from '../../activities/postgres/server';
import { createSecretStore } from '../../activities/secrets-manager/store';
import type { Catalog } from '../../catalog';
import type { RotationPlan } from '../../rotation/plan';
import { AWS_CLIENT_OPTIONS } from '../../runtime/aws-client-options';
import { readConfig } from '../../runtime/config';
import type { Config, Environment } from '../../runtime/config';
import { inLanes } from '../in-lanes';
import { openCatalog } from '../session';
import { checkAuditDatabase } from './audit-check';
import { checkAws, checkSecret } from './aws-checks';
import type { Check } from './check';
import { failedBy, ok, skipped } from './check';
import { checkDatabase } from './database-checks';
import { checkDependent } from './dependent-check';
import { checkTemporal } from './temporal-checks';

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
      checkCatalogAndSecrets(config),
    ]);
    return [ok('configuration', 'every setting is well-formed'), ...temporal, audit, ...secrets];
  });
}

async function checkCatalogAndSecrets(config: Config): Promise<Check[]> {
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
  try {
    const aws = await checkAws(client);
    if (aws.some(({ state }) => state === 'failed')) {
      return [declared, ...aws, skipped('secrets', 'need the AWS region and credentials')];
    }
    const perSecret: Check[][] = [];
    await inLanes(plans, LANES, async (plan, index) => {
      perSecret[index] = await checkPlan(client, plan);
    });
    return [declared, ...aws, ...perSecret.flat()];
  } finally {
    client.destroy();
  }
}

async function checkPlan(client: SecretsManagerClient, plan: RotationPlan): Promise<Check[]> {
  const secrets = createSecretStore(client);
  const secret = await checkSecret(secrets, plan);
  const checks = [secret];
  if (plan.type === 'database') {
    const access = { postgres: createPostgresServers(), credentials: createCredentials(secrets) };
    if (secret.state === 'failed') checks.push(skipped(`database of ${plan.secretId}`, 'needs its secret'));
    else checks.push(...(await checkDatabase(access, plan)));
  }
  for (const dependent of plan.dependents) checks.push(await checkDependent(plan.secretId, dependent));
  return checks;
}
