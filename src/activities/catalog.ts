import type { RotationPlan } from '../rotation/plan';
import { Cause } from '../rotation/errors';
import { failure } from './failures';
import type { StepInput } from './step-input';

/** Where plans come from. The catalog's own loader fits; its error classes are told apart by name. */
export interface PlanSource {
  load(): Promise<{ plan(environment: string, secret: string): RotationPlan }>;
}

export interface LoadPlanInput extends StepInput {
  environment: string;
  secret: string;
}

export function createCatalogActivities(catalog: PlanSource) {
  return {
    /** What the catalog says now of a secret; the workflow keeps this answer to its end. */
    async loadPlan({ environment, secret }: LoadPlanInput): Promise<RotationPlan> {
      return readCatalog(async () => (await catalog.load()).plan(environment, secret));
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
