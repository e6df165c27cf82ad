import type { WorkflowClient } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { KmsKeyUse } from '../../rotation/events';
import { readCatalog } from '../catalog';
import type { EnvironmentBackup } from '../catalog';
import { replacedSince } from '../emergency';
import type { StepInput } from '../step-input';
import type { KmsKeyUses } from './kms-key-uses';

/** The catalog as events read it. */
export interface EventCatalog {
  secrets(): { environment: string; secret: string; secretId: string }[];
  backup(environment: string): EnvironmentBackup | undefined;
}

export interface FindKmsKeyUsesInput extends StepInput {
  keyId: string;
}

export interface WasRotatedSinceInput extends StepInput {
  environment: string;
  secret: string;
  /** Milliseconds since the epoch. */
  since: number;
}

export interface EventDependencies {
  catalog: { load(): Promise<EventCatalog> };
  keyUses: KmsKeyUses;
  rotations: Pick<WorkflowClient, 'getHandle'>;
}

export function createEventActivities({ catalog, keyUses, rotations }: EventDependencies) {
  return {
    /** What the environments of the catalog use a KMS key for; those that do not use it are left out. */
    async findKmsKeyUses({ keyId }: FindKmsKeyUsesInput): Promise<KmsKeyUse[]> {
      const environments = await readCatalog(async () => {
        const loaded = await catalog.load();
        const declared = new Map<string, Map<string, string>>();
        for (const { environment, secret, secretId } of loaded.secrets()) {
          const names = declared.get(environment) ?? new Map<string, string>();
          declared.set(environment, names.set(secretId, secret));
        }
        return [...declared].map(([environment, names]) => ({
          environment,
          names,
          backupKey: loaded.backup(environment)?.kmsKey,
        }));
      });
      const aliases = await keyUses.aliases(keyId);
      const uses: KmsKeyUse[] = [];
      for (const { environment, names, backupKey } of environments) {
        const encrypted = await keyUses.secretsUnder(`${environment}/`, keyId, aliases);
        const secrets = encrypted.flatMap((secretId) => names.get(secretId) ?? []);
        const backups = backupKey !== undefined && aliases.includes(backupKey);
        if (secrets.length > 0 || backups) uses.push({ environment, secrets, backups });
      }
      return uses;
    },

    /** Whether the latest rotation of a secret began after that time, and has rotated it as an emergency. */
    async wasRotatedSince({ environment, secret, since }: WasRotatedSinceInput): Promise<boolean> {
      try {
        return (await replacedSince(rotations, environment, secret, since)) !== undefined;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
  };
}
