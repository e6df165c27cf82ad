import { secretIdOf } from '../rotation/names';
import type { BackupPlan } from '../rotation/backup';
import type { RotationPlan } from '../rotation/plan';
import type { EnvironmentData, SecretData } from './schema';

/** How an environment is backed up. */
export interface EnvironmentBackup extends BackupPlan {
  /** How long, in milliseconds. */
  keepMs: number;
  /** The names of all secrets that belong to the environment: those that it declares, and those that only serve as `adminSecret`. */
  secrets: string[];
  /** Those of them that are somebody's `adminSecret`. */
  administrators: string[];
}

export function backupPlanOf({ backup }: EnvironmentData): BackupPlan | undefined {
  return backup && { bucket: backup.bucket, kmsKey: backup.kmsKey };
}

/** `undefined` where the catalog says nothing of backups. */
export function environmentBackupOf(environmentData: EnvironmentData): EnvironmentBackup | undefined {
  const plan = backupPlanOf(environmentData);
  if (!plan || !environmentData.backup) return undefined;
  const serving = [...administrators(environmentData).keys()];
  const secrets = [...new Set([...serving, ...Object.keys(environmentData.secrets)])];
  return { ...plan, keepMs: environmentData.backup.keep, secrets, administrators: serving };
}

/** The secrets that others name as their `adminSecret`, each with the name of one that does. */
export function administrators({ secrets }: EnvironmentData): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, secret] of Object.entries(secrets)) {
    const admin = adminSecretOf(secret);
    if (admin !== undefined && !found.has(admin)) found.set(admin, name);
  }
  return found;
}

function adminSecretOf(secret: SecretData): string | undefined {
  if (secret.type === 'database') return secret.adminSecret;
  if (secret.type === 'api-key' && secret.provider.name === 'http') return secret.provider.adminSecret;
  return undefined;
}

/**
 * The plan by which a secret is restored that is declared only as another one's `adminSecret`: a login that alters itself, or for an API
 * key a text that opens nothing that Keyturn could ask.
 *
 * @param served the plan of one that names it.
 */
export function administratorPlan(name: string, served: RotationPlan): RotationPlan {
  const { environment, password, timeouts } = served;
  const shared = { environment, secret: name, secretId: secretIdOf(environment, name), password, timeouts };
  if (served.type !== 'database') return { ...shared, dependents: [], type: 'app-secret' };
  const { sslMode, sslRootCert } = served;
  return {
    ...shared,
    dependents: [],
    type: 'database',
    strategy: 'single-user',
    sslMode,
    ...(sslRootCert !== undefined && { sslRootCert }),
  };
}
