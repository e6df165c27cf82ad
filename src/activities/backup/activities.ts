import type { BackupPlan, BackupReference, BackupResult, Difference, SecretDifference } from '../../rotation/backup';
import { backupUrl, isOfOneSecret } from '../../rotation/backup';
import { Cause } from '../../rotation/errors';
import { secretIdOf } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type { PastOfSecrets } from '../audit/past-of-secrets';
import { readCatalog } from '../catalog';
import type { Catalog, CatalogSource, EnvironmentBackup } from '../catalog';
import { failure } from '../failures';
import type { Credentials } from '../postgres/credentials';
import type { PostgresServers } from '../postgres/server';
import { isStaged } from '../secrets-manager/staged-candidate';
import type { SecretStore } from '../secrets-manager/store';
import type { StepInput } from '../step-input';
import { backedUpSecret } from './backups';
import type { Backups } from './backups';
import type { BackupBucket } from './bucket';
import type { BackedUpSecret, OpenedBackup } from './document';
import { whyOutOfReach, whyUnreadable } from './one-secret';
import { mayHaveExisted } from './past';
import { retentionWarnings } from './retention';

export interface BackupPlanInput extends StepInput {
  environment: string;
}

export interface BackUpSecretsInput extends StepInput {
  environment: string;
  /** Names the object; the same on every retry. */
  time: string;
}

export interface BackUpOneInput extends BackUpSecretsInput {
  plan: BackupPlan;
  /** The secret's name below the environment. */
  secret: string;
  /** Whether AWSPREVIOUS is backed up too. */
  previous: boolean;
}

export interface FindBackupInput extends StepInput {
  environment: string;
  plan: BackupPlan;
  from: string;
  kmsKey?: string;
}

export interface FromBackupInput extends StepInput {
  backup: BackupReference;
}

export interface OpenBackupInput extends FromBackupInput {
  /** Names that it must hold; all that it holds when absent. */
  secrets?: string[];
}

export interface CompareInput extends FromBackupInput {
  secrets: string[];
}

export interface StageFromBackupInput extends FromBackupInput {
  /** The VersionId that the restored value gets. */
  versionId: string;
  /** False when the secret has to be created. */
  exists: boolean;
}

export interface BackupDependencies {
  catalog: CatalogSource;
  secrets: SecretStore;
  backups: Backups;
  bucket: BackupBucket;
  postgres: PostgresServers;
  credentials: Credentials;
  past: PastOfSecrets;
}

/** How a secret that is declared and backed up differs from its backup. */
type Found = Pick<SecretDifference, 'why'> & { difference: Exclude<Difference, 'not-declared' | 'not-in-backup'> };

export function createBackupActivities(dependencies: BackupDependencies) {
  const { catalog, secrets, backups, bucket, postgres, credentials, past } = dependencies;

  async function planFor(environment: string): Promise<EnvironmentBackup & { plans: Catalog }> {
    const { plans, found } = await readCatalog(async () => {
      const all = await catalog.load();
      return { plans: all, found: all.backup(environment) };
    });
    if (found) return { ...found, plans };
    throw failure(
      Cause.BackupNotConfigured,
      `The catalog does not say where backups of ${environment} go. Nothing was done. Say so: environments.${environment}.backup with bucket and kmsKey.`,
    );
  }

  async function storeDiffers(backedUp: BackedUpSecret, secretId: string): Promise<Found> {
    try {
      const found = await secrets.describe(secretId);
      if (!found) return { difference: 'missing' };
      if (found.scheduledForDeletion) return { difference: 'scheduled-for-deletion' };
      const { current } = found.labels;
      if (!current) return { difference: 'no-current' };
      const text = await secrets.findVersion(secretId, current);
      return { difference: text === backedUp.current.text ? 'same' : 'differs' };
    } catch (error) {
      return { difference: 'unreadable', why: whyUnreadable(error) };
    }
  }

  async function differenceOf(backedUp: BackedUpSecret, plan: RotationPlan): Promise<Found> {
    const { secretId } = plan;
    const found = await storeDiffers(backedUp, secretId);
    if (found.difference !== 'same' || plan.type !== 'database') return found;
    try {
      const login = credentials.ofText(backedUp.current.text, `the backup of ${secretId}`, plan);
      return { difference: (await postgres.probe(login)) === 'opened' ? 'same' : 'target-differs' };
    } catch (error) {
      return { difference: 'target-unknown', why: whyOutOfReach(error) };
    }
  }

  /** What it means that a declared secret is not in a backup. */
  async function withoutBackup(
    environment: string,
    secret: string,
    backup: OpenedBackup,
  ): Promise<Pick<SecretDifference, 'lost' | 'neverCreated' | 'why'>> {
    const secretId = secretIdOf(environment, secret);
    try {
      const found = await secrets.describe(secretId);
      if (found) return found.labels.current && !found.scheduledForDeletion ? {} : { lost: true };
    } catch (error) {
      return { lost: true, why: whyUnreadable(error) };
    }
    const existed = backup.wasUnreadable(secret) || (await mayHaveExisted(past, secretId));
    return existed ? { lost: true } : { neverCreated: true };
  }

  return {
    /** Where the catalog says that backups of an environment go. */
    async loadBackupPlan({ environment }: BackupPlanInput): Promise<BackupPlan> {
      const { bucket: name, kmsKey } = await planFor(environment);
      return { bucket: name, kmsKey };
    },

    /** Backs up all secrets of an environment into one object. */
    async backUpSecrets({ environment, time }: BackUpSecretsInput): Promise<BackupResult> {
      const { plans, secrets: names, keepMs, bucket: name, kmsKey } = await planFor(environment);
      const taken = await backups.take({
        environment,
        time,
        bucket: name,
        kmsKey,
        secrets: names.map((secret) => ({
          name: secret,
          previous: plans.restorePlan(environment, secret).type === 'database',
        })),
      });
      const warnings = retentionWarnings(environment, name, keepMs, await bucket.lifecycleRules(name));
      return { environment, time, ...taken, warnings };
    },

    /** Backs up one secret before its rotation. */
    async backUpBeforeRotation({
      environment,
      time,
      plan,
      secret,
      previous,
    }: BackUpOneInput): Promise<{ url: string }> {
      const { url } = await backups.take({
        environment,
        time,
        only: secret,
        ...plan,
        secrets: [{ name: secret, previous }],
      });
      return { url };
    },

    async findBackup({ environment, plan, from, kmsKey }: FindBackupInput): Promise<BackupReference> {
      return backups.find(environment, plan, from, kmsKey);
    },

    /** Verifies a whole backup. @returns the names of its secrets that are meant, and of those that are declared and not in it. */
    async openBackup({ backup, secrets: wanted }: OpenBackupInput): Promise<{ secrets: string[]; notHeld?: string[] }> {
      const { names } = await backups.open(backup);
      if (!wanted) {
        if (isOfOneSecret(backup)) return { secrets: names };
        const held = new Set(names);
        const { secrets: declared } = await planFor(backup.environment);
        return { secrets: names, notHeld: declared.filter((name) => !held.has(name)) };
      }
      const lacking = wanted.filter((name) => !names.includes(name));
      if (lacking.length === 0) return { secrets: wanted };
      throw failure(
        Cause.BackupMissing,
        `${backupUrl(backup)} does not hold ${lacking.join(', ')}. Nothing was changed. It holds ${names.length} secrets; without --secret all of them are restored.`,
      );
    },

    /** How some secrets differ from their backup, in words; one that cannot be read or asked about does not hide the others. */
    async compareWithBackup({ backup, secrets: names }: CompareInput): Promise<{ differences: SecretDifference[] }> {
      const { environment } = backup;
      const opened = await backups.open(backup);
      const { plans, secrets: known, administrators } = await planFor(environment);
      const declared = new Set(known);
      const differences = await Promise.all(
        names.map(async (secret): Promise<SecretDifference> => {
          const backedUp = opened.secret(secret);
          if (!declared.has(secret)) return { secret, difference: 'not-declared' };
          if (!backedUp) {
            return { secret, difference: 'not-in-backup', ...(await withoutBackup(environment, secret, opened)) };
          }
          const plan = plans.restorePlan(environment, secret);
          return {
            secret,
            ...(await differenceOf(backedUp, plan)),
            type: plan.type,
            ...(administrators.includes(secret) && { first: true }),
            ...(plan.dependents.length > 0 && { delivered: true }),
          };
        }),
      );
      return { differences };
    },

    /** Stores a backed-up value as the candidate; the secret is created where there is none. */
    async stageFromBackup({ secretId, versionId, exists, backup }: StageFromBackupInput): Promise<void> {
      if (await isStaged(secrets, secretId, versionId)) return;
      const { current, about } = await backedUpSecret(backups, backup, secretId);
      if (exists) await secrets.putPending(secretId, versionId, current.text);
      else await secrets.create(secretId, versionId, current.text, about);
    },

    /** Keeps a secret that was scheduled for deletion. */
    async cancelDeletion({ secretId }: StepInput): Promise<void> {
      await secrets.cancelDeletion(secretId);
    },

    /** Undoes that; the secret is kept for the longest time that there is. */
    async scheduleDeletion({ secretId }: StepInput): Promise<void> {
      await secrets.scheduleDeletion(secretId);
    },
  };
}
