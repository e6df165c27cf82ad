import type { SecretType } from '../rotation/names';
import type { Review } from '../rotation/review';
import { apiKeyPeriods, inheritedApiKeyMaxAgeMs } from './api-key-defaults';
import { environmentSchedules, type EnvironmentSchedules } from './schedules';
import type { EnvironmentData, SecretData } from './schema';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const STEP_TIMEOUT_MS = 15 * MINUTE_MS;
const ROLLBACK_TIMEOUT_MS = 24 * HOUR_MS;

const TYPE_MAX_AGE_MS: Record<Exclude<SecretType, 'api-key'>, number> = {
  'app-secret': 90 * DAY_MS,
  database: 90 * DAY_MS,
};

/** Replacing the key that signs JSON Web Tokens ends every session, so it may live longer than other app secrets. */
const JWT_MAX_AGE_MS = 180 * DAY_MS;

interface EnvironmentDefaults {
  maxAgeMs?: number;
  review: Review;
}

const ENVIRONMENT_DEFAULTS: ReadonlyMap<string, EnvironmentDefaults> = new Map([
  ['dev', { maxAgeMs: 60 * DAY_MS, review: 'quarterly' }],
  ['staging', { maxAgeMs: 90 * DAY_MS, review: 'monthly' }],
  ['production', { maxAgeMs: 90 * DAY_MS, review: 'monthly' }],
]);

const OTHER_ENVIRONMENT: EnvironmentDefaults = { review: 'monthly' };

/** What an environment says about its secrets; each secret may say otherwise. */
export interface EnvironmentPolicy {
  environment: string;
  /** How old a secret may become, in milliseconds; absent where the catalog says nothing and the types' defaults apply alone. */
  maxAgeMs?: number;
  /** How often its secrets are rotated by themselves, in milliseconds; absent where the types' defaults apply alone. */
  rotateEveryMs?: number;
  review: Review;
  schedules: EnvironmentSchedules;
  /** For databases with alternating-users, in milliseconds; until the next rotation when absent. */
  gracePeriodMs?: number;
  /** In milliseconds. */
  stepTimeoutMs: number;
  /** In milliseconds. */
  rollbackTimeoutMs: number;
}

/** What applies to one secret. */
export interface SecretPolicy extends Omit<
  EnvironmentPolicy,
  'maxAgeMs' | 'environment' | 'rotateEveryMs' | 'schedules'
> {
  maxAgeMs: number;
  /** Databases with alternating-users and API keys, in milliseconds; for the former until the next rotation when absent. */
  gracePeriodMs?: number;
}

/** The policy of an environment: what the catalog says, else the default for an environment of that name. */
export function environmentPolicy(environment: string, written: EnvironmentData): EnvironmentPolicy {
  const defaults = ENVIRONMENT_DEFAULTS.get(environment) ?? OTHER_ENVIRONMENT;
  return {
    environment,
    maxAgeMs: written.maxAge ?? defaults.maxAgeMs,
    rotateEveryMs: written.rotateEvery ?? written.maxAge ?? defaults.maxAgeMs,
    review: written.review ?? defaults.review,
    schedules: environmentSchedules(written),
    gracePeriodMs: written.gracePeriod,
    stepTimeoutMs: written.stepTimeout ?? STEP_TIMEOUT_MS,
    rollbackTimeoutMs: written.rollbackTimeout ?? ROLLBACK_TIMEOUT_MS,
  };
}

/**
 * The policy of a secret. What is written wins, on the secret before on its environment. Where neither says a maximum age, the
 * shorter of the type's default and the environment's applies, with two exceptions. JWT signing keys keep their own, longer
 * default. API keys too: an environment's default is how often it rotates by itself, and API keys are rotated by hand. No
 * environment lets a client secret of Amazon's become older than Amazon does.
 */
export function secretPolicy(
  environment: string,
  environmentData: EnvironmentData,
  name: string,
  written: SecretData,
): SecretPolicy {
  const inherited = environmentPolicy(environment, environmentData);
  return {
    maxAgeMs: written.maxAge ?? inheritedMaxAgeMs(environmentData.maxAge, inherited.maxAgeMs, name, written),
    review: written.review ?? inherited.review,
    gracePeriodMs: gracePeriodOf(written, inherited),
    stepTimeoutMs: written.stepTimeout ?? inherited.stepTimeoutMs,
    rollbackTimeoutMs: written.rollbackTimeout ?? inherited.rollbackTimeoutMs,
  };
}

/**
 * @param writtenMs what the catalog says of the environment.
 * @param environmentMs the same, or the default for an environment of that name.
 */
function inheritedMaxAgeMs(
  writtenMs: number | undefined,
  environmentMs: number | undefined,
  name: string,
  secret: SecretData,
): number {
  if (secret.type === 'api-key') return inheritedApiKeyMaxAgeMs(secret, writtenMs);
  if (writtenMs !== undefined) return writtenMs;
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  if (secret.type === 'app-secret' && words.includes('jwt')) return JWT_MAX_AGE_MS;
  return Math.min(TYPE_MAX_AGE_MS[secret.type], environmentMs ?? Infinity);
}

function gracePeriodOf(secret: SecretData, inherited: EnvironmentPolicy): number | undefined {
  if (secret.type === 'api-key') return apiKeyPeriods(secret).gracePeriodMs;
  if (secret.type === 'app-secret' || secret.strategy === 'single-user') return undefined;
  return secret.gracePeriod ?? inherited.gracePeriodMs;
}
