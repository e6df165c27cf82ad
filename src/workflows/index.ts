/** The workflow types that the worker registers. */
export { notifyPeople } from './notify-people';
export { backupSecrets } from './backup-secrets';
export { checkSecretAges } from './check-secret-ages';
export { deliverSecret } from './deliver-secret';
export { monitorUsage } from './monitor-usage';
export { handleEvent } from './handle-event';
export { reviewEnvironment } from './review-environment';
export { restoreSecret } from './restore-secret';
export { restoreSecrets } from './restore-secrets';
export { rollbackSecret } from './rollback-secret';
export { rotate } from './rotate';
export { rotateApiKey } from './rotate-api-key';
export { rotateAppSecret } from './rotate-app-secret';
export { rotateDatabaseCredential } from './rotate-database-credential';
export { rotateEnvironment } from './rotate-environment';
export { watchUsageMetrics } from './watch-usage-metrics';
