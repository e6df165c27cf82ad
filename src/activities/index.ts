import type { WorkflowClient } from '@temporalio/client';
import { createApiKeyActivities } from './api-keys/activities';
import type { ApiKeyProviders } from './api-keys/providers';
import { createAuditActivities } from './audit/activities';
import { createCatalogActivities } from './catalog';
import type { PlanSource } from './catalog';
import { createDeliveryActivities } from './delivery/activities';
import type { EcsServices } from './delivery/ecs';
import type { KubernetesClusters } from './delivery/kubernetes/clusters';
import { createFleetRotationActivities } from './fleet/rotations';
import { createSurveyActivities } from './fleet/survey';
import type { FleetCatalog } from './fleet/survey';
import { createNotifyActivities } from './notify';
import type { Notifier } from './notify';
import { createOutcomeActivities } from './outcome';
import { createPostgresActivities } from './postgres/activities';
import { createCredentials } from './postgres/credentials';
import type { PostgresServers } from './postgres/server';
import { createRotationActivities } from './rotations';
import { createSecretsManagerActivities } from './secrets-manager/activities';
import type { SecretAges } from './secrets-manager/ages';
import type { SecretStore } from './secrets-manager/store';

/** The outside systems. Tests hand in other endpoints here. */
export interface ActivityDependencies {
  catalog: PlanSource & { load(): Promise<FleetCatalog> };
  secrets: SecretStore;
  ages: SecretAges;
  postgres: PostgresServers;
  apiKeys: ApiKeyProviders;
  kubernetes: KubernetesClusters;
  ecs: EcsServices;
  notifier: Notifier;
  rotations: Pick<WorkflowClient, 'getHandle'>;
}

export function createActivities(dependencies: ActivityDependencies) {
  const { catalog, secrets, ages, postgres, apiKeys, kubernetes, ecs, notifier, rotations } = dependencies;
  return {
    ...createApiKeyActivities(secrets, apiKeys),
    ...createAuditActivities(),
    ...createCatalogActivities(catalog),
    ...createDeliveryActivities({ secrets, kubernetes, ecs }),
    ...createFleetRotationActivities(rotations),
    ...createNotifyActivities(notifier),
    ...createOutcomeActivities(),
    ...createPostgresActivities(postgres, createCredentials(secrets)),
    ...createRotationActivities(rotations),
    ...createSecretsManagerActivities(secrets),
    ...createSurveyActivities({ catalog, secrets, ages }),
  };
}

export type Activities = ReturnType<typeof createActivities>;
