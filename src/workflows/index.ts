/** The workflow types that the worker registers. */
export { rollbackSecret } from './rollback-secret';
export { rotate } from './rotate';
export { rotateAppSecret } from './rotate-app-secret';
export { rotateDatabaseCredential } from './rotate-database-credential';
