import type { ScheduleClient, WorkflowClient } from '@temporalio/client';
import { createAgesActivities } from './ages/activities';
import { createApiKeyActivities } from './api-keys/activities';
import type { ApiKeyProviders } from './api-keys/providers';
import { createAuditActivities } from './audit/activities';
import type { PastOfSecrets } from './audit/past-of-secrets';
import type { ReviewLog } from './audit/review-log';
import { createBackupActivities } from './backup/activities';
import { createBackups } from './backup/backups';
import type { BackupBucket } from './backup/bucket';
import type { BackupEnvelope } from './backup/envelope';
import { createRestoringActivities } from './backup/targets';
import { createCatalogActivities } from './catalog';
import type { CatalogSource } from './catalog';
import { createDeliveryActivities } from './delivery/activities';
import type { EcsServices } from './delivery/ecs';
import type { KubernetesClusters } from './delivery/kubernetes/clusters';
import { createEmergencyActivities } from './emergency';
import { createEventActivities } from './events/activities';
import type { EventCatalog } from './events/activities';
import type { KmsKeyUses } from './events/kms-key-uses';
import { createFleetRotationActivities } from './fleet/rotations';
import { createSurveyActivities } from './fleet/survey';
import type { FleetCatalog } from './fleet/survey';
import type { MetricSink } from './metrics';
import { createNotifyActivities } from './notify/activities';
import type { NotifierParts } from './notify/channels';
import { createOutcomeActivities } from './outcome';
import { createPostgresActivities } from './postgres/activities';
import { createCredentials } from './postgres/credentials';
import type { PostgresServers } from './postgres/server';
import { createReviewActivities } from './review/activities';
import type { ReviewCatalog } from './review/catalog';
import { createRotationActivities } from './rotations';
import { createSecretsManagerActivities } from './secrets-manager/activities';
import type { SecretAges } from './secrets-manager/ages';
import type { SecretStore } from './secrets-manager/store';
import { createUsageActivities } from './usage/activities';
import { createUsageMetricActivities } from './usage/metric-activities';
import type { UsageMetrics } from './usage/metric-sums';

/** The outside systems. Tests hand in other endpoints here. */
export interface ActivityDependencies {
  catalog: CatalogSource & { load(): Promise<FleetCatalog & EventCatalog & ReviewCatalog> };
  secrets: SecretStore;
  ages: SecretAges;
  postgres: PostgresServers;
  apiKeys: ApiKeyProviders;
  kubernetes: KubernetesClusters;
  ecs: EcsServices;
  backupBucket: BackupBucket;
  backupEnvelope: BackupEnvelope;
  keyUses: KmsKeyUses;
  notifiers: Omit<NotifierParts, 'secrets'>;
  metrics: MetricSink;
  usageMetrics: UsageMetrics;
  rotations: Pick<WorkflowClient, 'getHandle' | 'signalWithStart'>;
  schedules: Pick<ScheduleClient, 'list'>;
  past: PastOfSecrets;
  reviewLog: ReviewLog;
}

export function createActivities(dependencies: ActivityDependencies) {
  const { catalog, secrets, ages, postgres, apiKeys, kubernetes, ecs, notifiers, metrics, rotations } = dependencies;
  const { backupBucket: bucket, backupEnvelope, keyUses, usageMetrics, schedules, past, reviewLog } = dependencies;
  const credentials = createCredentials(secrets);
  const backups = createBackups(secrets, bucket, backupEnvelope);
  return {
    ...createAgesActivities({ catalog, ages, metrics }),
    ...createApiKeyActivities(secrets, apiKeys),
    ...createAuditActivities(),
    ...createBackupActivities({ catalog, secrets, backups, bucket, postgres, credentials, past }),
    ...createCatalogActivities(catalog),
    ...createDeliveryActivities({ secrets, kubernetes, ecs }),
    ...createEmergencyActivities(rotations),
    ...createEventActivities({ catalog, keyUses, rotations }),
    ...createFleetRotationActivities(rotations),
    ...createNotifyActivities(catalog, { ...notifiers, secrets }),
    ...createOutcomeActivities(metrics),
    ...createPostgresActivities(postgres, credentials),
    ...createRestoringActivities({ backups, postgres, credentials, apiKeys }),
    ...createReviewActivities({ catalog, reviewLog, schedules }),
    ...createRotationActivities(rotations),
    ...createSecretsManagerActivities(secrets),
    ...createSurveyActivities({ catalog, secrets, ages, workflows: rotations }),
    ...createUsageActivities({ catalog, secrets, workflows: rotations }),
    ...createUsageMetricActivities({ catalog, ages, usageMetrics, workflows: rotations }),
  };
}

export type Activities = ReturnType<typeof createActivities>;
