import type { WorkflowClient } from '@temporalio/client';
import { createAuditActivities } from './audit/activities';
import { createCatalogActivities } from './catalog';
import type { PlanSource } from './catalog';
import { createDeliveryActivities } from './delivery/activities';
import { createOutcomeActivities } from './outcome';
import { createPostgresActivities } from './postgres/activities';
import { createCredentials } from './postgres/credentials';
import type { PostgresServers } from './postgres/server';
import { createRotationActivities } from './rotations';
import { createSecretsManagerActivities } from './secrets-manager/activities';
import type { SecretStore } from './secrets-manager/store';

/** The outside systems. Tests hand in other endpoints here. */
export interface ActivityDependencies {
  catalog: PlanSource;
  secrets: SecretStore;
  postgres: PostgresServers;
  rotations: Pick<WorkflowClient, 'getHandle'>;
}

export function createActivities({ catalog, secrets, postgres, rotations }: ActivityDependencies) {
  return {
    ...createAuditActivities(),
    ...createCatalogActivities(catalog),
    ...createDeliveryActivities(),
    ...createOutcomeActivities(),
    ...createPostgresActivities(postgres, createCredentials(secrets)),
    ...createRotationActivities(rotations),
    ...createSecretsManagerActivities(secrets),
  };
}

export type Activities = ReturnType<typeof createActivities>;
