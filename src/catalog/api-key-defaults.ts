import { MAX_GRACE_PERIOD_MS } from '../rotation/durations';
import type { ApiKeyFields, ApiKeyProviderPlan } from '../rotation/plan';
import type { ApiKeyData } from './schema';

const DAY_MS = 86_400_000;

const MAX_AGE_MS = 365 * DAY_MS;
const GRACE_PERIOD_MS = 7 * DAY_MS;
const QUIET_PERIOD_MS = DAY_MS;

/** When Amazon itself ends a client secret after a new one was asked for (Selling Partner API guide, 'Rotate your application's client secret'). */
export const AMAZON_GRACE_PERIOD_MS = 7 * DAY_MS;

/** How old a client secret may become before Amazon refuses it (Selling Partner API guide, 'Rotate your application's client secret'). */
export const AMAZON_MAX_AGE_MS = 180 * DAY_MS;

/** What `maxGracePeriod` may say at most: keys that old are due for their next rotation. */
export const LONGEST_GRACE_PERIOD_MS = 365 * DAY_MS;

const FIELDS: Record<ApiKeyProviderPlan['name'], ApiKeyFields> = {
  'aws-iam': { id: 'accessKeyId', value: 'secretAccessKey' },
  http: { id: 'keyId', value: 'key' },
  'amazon-sp-api': { id: 'clientSecretExpiresAt', value: 'clientSecret' },
};

/** The fields of the secret that hold the key: what is written, else what the provider's own tools expect. */
export function apiKeyFields({ fields, provider }: ApiKeyData): ApiKeyFields {
  const usual = FIELDS[provider.name];
  return { id: fields.id ?? usual.id, value: fields.value ?? usual.value };
}

/** The periods of a rotation, in milliseconds; a default is never longer than the longest grace period. */
export function apiKeyPeriods({ gracePeriod, maxGracePeriod, quietPeriod, provider }: ApiKeyData): {
  gracePeriodMs: number;
  maxGracePeriodMs: number;
  quietPeriodMs: number;
} {
  const longestMs = provider.name === 'amazon-sp-api' ? AMAZON_GRACE_PERIOD_MS : MAX_GRACE_PERIOD_MS;
  const maxGracePeriodMs = maxGracePeriod ?? longestMs;
  return {
    gracePeriodMs: gracePeriod ?? Math.min(GRACE_PERIOD_MS, maxGracePeriodMs),
    maxGracePeriodMs,
    quietPeriodMs: quietPeriod ?? Math.min(QUIET_PERIOD_MS, maxGracePeriodMs),
  };
}

/** How old a key may become, in milliseconds: what its environment says, else a year; a client secret of Amazon's never older than Amazon allows. */
export function inheritedApiKeyMaxAgeMs({ provider }: ApiKeyData, environmentMs: number | undefined): number {
  if (provider.name !== 'amazon-sp-api') return environmentMs ?? MAX_AGE_MS;
  return Math.min(environmentMs ?? Infinity, AMAZON_MAX_AGE_MS);
}
