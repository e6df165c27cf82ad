import type { z } from 'zod';
import { API_KEY_MAPPINGS, apiKey } from './api-key';
import { backup } from './backup';
import { delivery, dependent, DEPENDENT_MAPPINGS } from './dependents';
import { alternatingUsersDatabase, appSecret, singleUserDatabase } from './generated';
import { HTTP_CALLS, httpProvider } from './http-provider';
import { secretKey, workload, workloadOrService } from './kubernetes';
import { SCHEDULE_MAPPINGS } from './schedule';
import { usesMetric } from './usage-metric';

/** What a mapping is and which keys it may have. */
export interface KnownKeys {
  of: string;
  keys: string[];
}

/** For a mapping below an environment: a secret, or part of one. `path` starts with the secret's name. */
export function knownKeysOfSecret(path: readonly PropertyKey[], mapping: unknown): KnownKeys {
  const [, part, index] = path;
  if (part === 'dependents') return knownKeysOfDependent(path.slice(3));
  if (part === 'schedule') {
    if (index === 'calendar') return known('a calendar', SCHEDULE_MAPPINGS.calendar);
    return known('a schedule', SCHEDULE_MAPPINGS.schedule);
  }
  if (part === 'usesMetric') return known('the metric of uses', usesMetric);
  if (part === 'delivery') return known('the delivery', delivery);
  if (part === 'fields') return known('the fields of an API key', API_KEY_MAPPINGS.fields);
  if (part === 'phaseIn') return known('a step of the phase-in', API_KEY_MAPPINGS.phaseInStep);
  if (part === 'provider') return index === undefined ? knownKeysOfProvider(mapping) : knownKeysOfCall(index);
  return knownKeysOfType(mapping as { type: unknown; strategy?: unknown });
}

/** `path` starts with the kind of dependent. */
function knownKeysOfDependent([kind, part]: readonly PropertyKey[]): KnownKeys {
  if (part === 'keys') return known('an entry of keys', secretKey);
  if (part === 'workloads') return known('a workload', workloadOrService);
  if (kind === 'http') return known('an HTTP dependent', DEPENDENT_MAPPINGS.http);
  if (kind === 'kubernetes') return known('a Kubernetes dependent', DEPENDENT_MAPPINGS.kubernetes);
  if (kind === 'ecs') return known('an ECS dependent', DEPENDENT_MAPPINGS.ecs);
  return known('a dependent', dependent);
}

/** For the schedules of an environment, or their weekly run. */
export function knownKeysOfSchedules([part]: readonly PropertyKey[]): KnownKeys {
  if (part === 'weeklyRun') return known('the weekly run', SCHEDULE_MAPPINGS.weeklyRun);
  if (part === 'ageCheck') return known('the age check', SCHEDULE_MAPPINGS.ageCheck);
  return known('the schedules of an environment', SCHEDULE_MAPPINGS.schedules);
}

/** For a mapping below the services of an environment. */
export function knownKeysOfService(): KnownKeys {
  return known('a workload', workload);
}

/** For the backup of an environment. */
export function knownKeysOfBackup(): KnownKeys {
  return known('the backup', backup);
}

function knownKeysOfType({ type, strategy }: { type: unknown; strategy?: unknown }): KnownKeys {
  if (type === 'app-secret') return known('an app secret', appSecret);
  if (type === 'api-key') return known('an API key', apiKey);
  const database = strategy === 'single-user' ? singleUserDatabase : alternatingUsersDatabase;
  return known(`a database secret with ${String(strategy)}`, database);
}

function knownKeysOfProvider(mapping: unknown): KnownKeys {
  const { name } = mapping as { name: 'aws-iam' | 'http' | 'amazon-sp-api' };
  return known(`the provider ${name}`, name === 'http' ? httpProvider : API_KEY_MAPPINGS[name]);
}

function knownKeysOfCall(call: PropertyKey): KnownKeys {
  return known(`the request ${String(call)}`, HTTP_CALLS[call as keyof typeof HTTP_CALLS]);
}

function known(of: string, mapping: z.ZodObject): KnownKeys {
  return { of, keys: Object.keys(mapping.shape) };
}

/** Every key that some secret may have. */
export const SECRET_KEYS: ReadonlySet<string> = new Set(
  [appSecret, singleUserDatabase, alternatingUsersDatabase, apiKey].flatMap((variant) => Object.keys(variant.shape)),
);
