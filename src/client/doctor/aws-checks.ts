import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { credentialOf } from '../../activities/api-keys/credential';
import { parseDatabaseSecret } from '../../activities/secrets-manager/database-secret';
import { parseJsonSecret } from '../../activities/secrets-manager/json-secret';
import type { SecretStore } from '../../activities/secrets-manager/store';
import { Cause } from '../../rotation/errors';
import type { RotationPlan } from '../../rotation/plan';
import type { Check } from './check';
import { check, failed, failedBy, ok, skipped } from './check';

/** Region and credentials, by the SDK's own chain. */
export async function checkAws(client: SecretsManagerClient): Promise<Check[]> {
  return [
    await check(
      'AWS region',
      async () => ok('AWS region', await client.config.region()),
      'Set AWS_REGION, such as eu-central-1, or the region of the AWS profile.',
    ),
    await check(
      'AWS credentials',
      async () => {
        await client.config.credentials();
        return ok('AWS credentials', 'found; whether they are valid shows in the secrets below');
      },
      'Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached.',
    ),
    skipped(
      'AWS write permissions',
      'not tried: that would change a secret',
      'The worker needs secretsmanager:CreateSecret, PutSecretValue and UpdateSecretVersionStage on the secrets of the catalog.',
    ),
  ];
}

/** Whether one secret can be read, is of its declared shape, and is ours to rotate. Its value is looked at and let go. */
export async function checkSecret(secrets: SecretStore, plan: RotationPlan): Promise<Check> {
  const name = `secret ${plan.secretId}`;
  return check(name, () => lookAtSecret(name, secrets, plan), {
    [Cause.TargetUnavailable]: 'Check AWS_REGION, AWS_ENDPOINT_URL and the network between here and AWS.',
  });
}

async function lookAtSecret(name: string, secrets: SecretStore, plan: RotationPlan): Promise<Check> {
  const { exists, labels } = await secrets.inspect(plan.secretId);
  if (!exists) return missing(name, plan);
  const { versionId, text } = await secrets.readCurrent(plan.secretId);
  try {
    checkShape(plan, text);
  } catch (error) {
    return failedBy(name, error, 'Store a value of that shape, or correct how the catalog declares the secret.');
  }
  const { pending } = labels;
  const candidate =
    pending && pending !== versionId ? `; a candidate, version ${pending}, is under way or left over` : '';
  return ok(name, `readable, AWSCURRENT is version ${versionId}${candidate}`);
}

function missing(name: string, plan: RotationPlan): Check {
  const { secretId } = plan;
  switch (plan.type) {
    case 'app-secret':
      return ok(name, 'does not exist yet; the first rotation creates it');
    case 'database':
      return failed(
        name,
        'does not exist',
        `Store the login that works today: aws secretsmanager create-secret --name ${secretId} --secret-string file://<file with {engine, host, port, dbname, username, password}>`,
      );
    case 'api-key':
      return failed(
        name,
        'does not exist',
        `Store the key that works today: aws secretsmanager create-secret --name ${secretId} --secret-string file://<file with {${plan.fields.id}, ${plan.fields.value}}>`,
      );
  }
}

function checkShape(plan: RotationPlan, text: string): void {
  const where = `the current version of ${plan.secretId}`;
  switch (plan.type) {
    case 'database':
      parseDatabaseSecret(text, where);
      return;
    case 'app-secret':
      if (plan.field !== undefined) parseJsonSecret(text, where);
      return;
    case 'api-key':
      credentialOf(plan.fields, text, where);
  }
}
