import { z } from 'zod';
import { SECRET_TYPES } from '../rotation/names';
import { duration, environmentName, secretName } from './values';
import { apiKey } from './schema/api-key';
import { backup } from './schema/backup';
import { chooseOne } from './schema/choice';
import { events } from './schema/events';
import { appSecret, database } from './schema/generated';
import {
  knownKeysOfBackup,
  knownKeysOfSchedules,
  knownKeysOfSecret,
  knownKeysOfService,
  type KnownKeys,
} from './schema/known-keys';
import { fleet } from './schema/fleet';
import { services } from './schema/kubernetes';
import { knownKeysOfNotifications, notifications } from './schema/notifications';
import { policyKeys } from './schema/policy';
import { schedules } from './schema/schedule';

const secret = z.discriminatedUnion('type', [appSecret, database, apiKey], chooseOne('type', SECRET_TYPES));

const environment = z.strictObject({
  ...policyKeys,
  rotateEvery: duration(
    'How often secrets are rotated by themselves that say nothing else; as often as maxAge demands when absent',
  ).optional(),
  schedules: schedules.optional(),
  gracePeriod: duration(
    'Only for databases with alternating-users: how long the login out of use stays unlocked after a rotation; until the next rotation when absent. Each API key sets its own grace period',
    true,
  ).optional(),
  fleet: fleet.optional(),
  backup: backup.optional(),
  services: services.default({}),
  secrets: z.record(secretName, secret).describe('The secrets of this environment, by their names'),
});

/** The catalog file. What is parsed has its durations in milliseconds and its alphabets expanded. */
export const catalogSchema = z.strictObject({
  environments: z.record(environmentName, environment).describe('The environments, by their names'),
  notifications: notifications.optional().describe('Who is told of what'),
  events: events.optional(),
});

/** The catalog as parsed: durations in milliseconds, alphabets expanded, bodies of requests as JSON text. */
export type CatalogData = z.output<typeof catalogSchema>;
export type EnvironmentData = z.output<typeof environment>;
export type SecretData = z.output<typeof secret>;
export type { ApiKeyData } from './schema/api-key';
export type { DeliveryData, DependentData } from './schema/dependents';
export type { HttpProviderData } from './schema/http-provider';
export type { KubernetesData, ServicesData } from './schema/kubernetes';

/** What a mapping is and which keys it may have, by its path in the catalog. */
export function knownKeysAt(path: readonly PropertyKey[], mapping: unknown): KnownKeys {
  if (path.length === 0) return { of: 'the catalog', keys: Object.keys(catalogSchema.shape) };
  if (path[0] === 'events') return { of: 'events', keys: Object.keys(events.shape) };
  if (path[0] === 'notifications') return knownKeysOfNotifications(path, mapping);
  if (path.length === 2) return { of: 'an environment', keys: Object.keys(environment.shape) };
  if (path[2] === 'schedules') return knownKeysOfSchedules(path.slice(3));
  if (path[2] === 'fleet') return { of: 'the fleet', keys: Object.keys(fleet.shape) };
  if (path[2] === 'backup') return knownKeysOfBackup();
  if (path[2] === 'services') return knownKeysOfService();
  return knownKeysOfSecret(path.slice(3), mapping);
}
