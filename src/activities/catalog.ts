import type { NotificationSettings } from '../rotation/notifications';
import type { BackupPlan } from '../rotation/backup';
import type { RotationPlan } from '../rotation/plan';
import { Cause } from '../rotation/errors';
import { failure } from './failures';
import type { StepInput } from './step-input';

/** What the catalog says. Its own loader fits; its error classes are told apart by name. */
export interface Catalog {
  plan(environment: string, secret: string): RotationPlan;
  /** Also of a secret that only serves as another one's administrator. */
  restorePlan(environment: string, secret: string): RotationPlan;
  /** `undefined` where the catalog says nothing of backups. */
  backup(environment: string): EnvironmentBackup | undefined;
  notifications(environment: string): NotificationSettings;
}

/** How an environment is backed up. */
export interface EnvironmentBackup extends BackupPlan {
  /** How long, in milliseconds. */
  keepMs: number;
  /** The names of all its secrets. */
  secrets: string[];
  /** Those of them that others need to be restored. */
  administrators: string[];
}

/** Where plans, and what is said of backups and notifications, come from. */
export interface CatalogSource {
  load(): Promise<Catalog>;
  /** The latest that could be read; absent when none could. */
  lastRead(): Pick<Catalog, 'notifications'> | undefined;
}

export interface LoadPlanInput extends StepInput {
  environment: string;
  secret: string;
}

export function createCatalogActivities(catalog: CatalogSource) {
  return {
    /** What the catalog says now of a secret; the workflow keeps this answer to its end. */
    async loadPlan({ environment, secret }: LoadPlanInput): Promise<RotationPlan> {
      return readCatalog(async () => (await catalog.load()).plan(environment, secret));
    },

    /** The same for a secret that is restored. */
    async loadRestorePlan({ environment, secret }: LoadPlanInput): Promise<RotationPlan> {
      return readCatalog(async () => (await catalog.load()).restorePlan(environment, secret));
    },
  };
}

/** Reads the catalog. @throws UnknownSecret, CatalogInvalid in the catalog's own words. */
export async function readCatalog<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.name === 'UnknownSecretError') throw failure(Cause.UnknownSecret, error.message);
    if (error.name === 'CatalogError') throw failure(Cause.CatalogInvalid, error.message);
    throw error;
  }
}
