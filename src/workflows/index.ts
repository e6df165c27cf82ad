/** The workflow types that the worker registers. */
export { rollbackSecret } from './rollback-secret';
export { rotate } from './rotate';
export { rotateApiKey } from './rotate-api-key';
export { rotateAppSecret } from './rotate-app-secret';
export { rotateDatabaseCredential } from './rotate-database-credential';
export { rotateEnvironment } from './rotate-environment';
