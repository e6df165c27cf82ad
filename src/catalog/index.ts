export { UnknownSecretError, type Catalog, type CatalogSecret } from './catalog';
export type { EnvironmentBackup } from './backups';
export type { EnvironmentPolicy } from './defaults';
export { createCatalogSource, loadCatalog, type CatalogSource } from './load';
export { CatalogError, type CatalogProblem } from './problems';
export { cronTextOf, type Calendar } from './calendar';
export type { EnvironmentSchedules, ScheduleTimes, SecretSchedule } from './schedules';
export { reviewCalendar } from './reviews';
