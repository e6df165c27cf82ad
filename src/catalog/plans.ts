import { dirname, resolve } from 'node:path';
import { secretIdOf } from '../rotation/names';
import { APP_SECRET_POLICY, classesOf, DATABASE_POLICY, type PasswordPolicy } from '../rotation/password-policy';
import type { RotationPlan } from '../rotation/plan';
import { apiKeyPlanOf } from './api-key-plan';
import { backupPlanOf } from './backups';
import { secretPolicy } from './defaults';
import { deliveryOf, dependentsOf } from './dependents';
import type { EnvironmentData, SecretData } from './schema';

/** What new values of a secret look like: what the catalog says, else the type's default. The values of API keys come from their provider; their plan says what others say. */
export function passwordPolicyOf(secret: SecretData): PasswordPolicy {
  if (secret.type === 'api-key') return { ...APP_SECRET_POLICY, classes: [...APP_SECRET_POLICY.classes] };
  const usual = secret.type === 'database' ? DATABASE_POLICY : APP_SECRET_POLICY;
  return {
    length: secret.length ?? usual.length,
    classes: secret.alphabet === undefined ? [...usual.classes] : classesOf(secret.alphabet),
  };
}

/**
 * Everything that a rotation of the secret needs to know, without any value.
 *
 * @param catalogPath the file that relative paths in the catalog start from.
 */
export function planOf(
  catalogPath: string,
  environment: string,
  environmentData: EnvironmentData,
  name: string,
  secret: SecretData,
): RotationPlan {
  const policy = secretPolicy(environment, environmentData, name, secret);
  const shared = {
    environment,
    secret: name,
    secretId: secretIdOf(environment, name),
    ...(secret.description !== undefined && { description: secret.description }),
    password: passwordPolicyOf(secret),
    dependents: dependentsOf(environment, environmentData.services, secret.dependents),
    ...(secret.delivery !== undefined && { delivery: deliveryOf(secret.delivery) }),
    ...(environmentData.backup?.beforeRotation === true && { backup: backupPlanOf(environmentData) }),
    timeouts: { stepMs: policy.stepTimeoutMs, rollbackMs: policy.rollbackTimeoutMs },
  };
  if (secret.type === 'app-secret') {
    return { ...shared, type: secret.type, ...(secret.field !== undefined && { field: secret.field }) };
  }
  if (secret.type === 'api-key') return { ...shared, type: secret.type, ...apiKeyPlanOf(environment, name, secret) };
  const database = {
    ...shared,
    type: secret.type,
    ...(secret.adminSecret !== undefined && { adminSecretId: secretIdOf(environment, secret.adminSecret) }),
    sslMode: secret.sslmode,
    ...(secret.sslRootCert !== undefined && { sslRootCert: resolve(dirname(catalogPath), secret.sslRootCert) }),
  };
  if (secret.strategy === 'single-user') return { ...database, strategy: secret.strategy };
  return {
    ...database,
    strategy: secret.strategy,
    groupRole: secret.groupRole,
    ...(secret.logins !== undefined && { logins: secret.logins }),
    ...(policy.gracePeriodMs !== undefined && { gracePeriodMs: policy.gracePeriodMs }),
  };
}
