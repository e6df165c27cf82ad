import type { SecretType } from '../rotation/names';
import type { EnvironmentData, ReviewInterval, SecretData } from './schema';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const STEP_TIMEOUT_MS = 15 * MINUTE_MS;
const ROLLBACK_TIMEOUT_MS = 24 * HOUR_MS;

const TYPE_MAX_AGE_MS: Record<SecretType, number> = {
  'app-secret': 90 * DAY_MS,
  database: 90 * DAY_MS,
};

/** Replacing the key that signs JSON Web Tokens ends every session, so it may live longer than other app secrets. */
const JWT_MAX_AGE_MS = 180 * DAY_MS;

interface EnvironmentDefaults {
  maxAgeMs?: number;
  review: ReviewInterval;
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
  review: ReviewInterval;
  /** For databases with alternating-users, in milliseconds; until the next rotation when absent. */
  gracePeriodMs?: number;
  /** In milliseconds. */
  stepTimeoutMs: number;
  /** In milliseconds. */
  rollbackTimeoutMs: number;
}

/** What applies to one secret. */
export interface SecretPolicy extends Omit<EnvironmentPolicy, 'maxAgeMs' | 'environment'> {
  maxAgeMs: number;
}

/** The policy of an environment: what the catalog says, else the default for an environment of that name. */
export function environmentPolicy(environment: string, written: EnvironmentData): EnvironmentPolicy {
  const defaults = ENVIRONMENT_DEFAULTS.get(environment) ?? OTHER_ENVIRONMENT;
  return {
    environment,
    maxAgeMs: written.maxAge ?? defaults.maxAgeMs,
    review: written.review ?? defaults.review,
    gracePeriodMs: written.gracePeriod,
    stepTimeoutMs: written.stepTimeout ?? STEP_TIMEOUT_MS,
    rollbackTimeoutMs: written.rollbackTimeout ?? ROLLBACK_TIMEOUT_MS,
  };
}

/**
 * The policy of a secret. What is written wins, on the secret before on its environment. Where neither says a maximum age, the
 * shorter of the type's default and the environment's applies, except that JWT signing keys keep their own, longer default.
 */
export function secretPolicy(
  environment: string,
  environmentData: EnvironmentData,
  name: string,
  written: SecretData,
): SecretPolicy {
  const inherited = environmentPolicy(environment, environmentData);
  const alternating = written.type === 'database' && written.strategy === 'alternating-users';
  return {
    maxAgeMs: written.maxAge ?? environmentData.maxAge ?? defaultMaxAgeMs(inherited.maxAgeMs, name, written.type),
    review: written.review ?? inherited.review,
    gracePeriodMs: alternating ? (written.gracePeriod ?? inherited.gracePeriodMs) : undefined,
    stepTimeoutMs: written.stepTimeout ?? inherited.stepTimeoutMs,
    rollbackTimeoutMs: written.rollbackTimeout ?? inherited.rollbackTimeoutMs,
  };
}

function defaultMaxAgeMs(environmentMs: number | undefined, name: string, type: SecretType): number {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  if (type === 'app-secret' && words.includes('jwt')) return JWT_MAX_AGE_MS;
  return Math.min(TYPE_MAX_AGE_MS[type], environmentMs ?? Infinity);
}
