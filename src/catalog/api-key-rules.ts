import { formatDuration } from '../rotation/durations';
import { secondarySecretIdOf, secretIdOf } from '../rotation/names';
import {
  AMAZON_GRACE_PERIOD_MS,
  AMAZON_MAX_AGE_MS,
  apiKeyFields,
  apiKeyPeriods,
  LONGEST_GRACE_PERIOD_MS,
} from './api-key-defaults';
import { checkHttpProvider } from './http-provider-rules';
import type { Report } from './problems';
import type { ApiKeyData, CatalogData, EnvironmentData } from './schema';

/** Finds what is wrong between the values of one API key; paths start below the secret. */
export function checkApiKey(name: string, secret: ApiKeyData, report: Report): void {
  const { id, value } = apiKeyFields(secret);
  if (id === value) report(['fields'], `has the key's ID and its value in the same field ${id}`);
  checkPeriods(secret, report);
  checkPhaseIn(secret, report);
  if (secret.provider.name !== 'http') return;
  if (secret.provider.adminSecret === name) {
    report(['provider', 'adminSecret'], 'is this secret itself: name one whose fields may manage the keys of this one');
  }
  checkHttpProvider(secret.provider, (path, message) => report(['provider', ...path], message));
}

function checkPeriods(secret: ApiKeyData, report: Report): void {
  const { gracePeriodMs, maxGracePeriodMs, quietPeriodMs } = apiKeyPeriods(secret);
  const beyond = `longer than maxGracePeriod, which is ${formatDuration(maxGracePeriodMs)}`;
  if (maxGracePeriodMs > LONGEST_GRACE_PERIOD_MS) {
    report(['maxGracePeriod'], `lasts ${formatDuration(maxGracePeriodMs)}: at most 365 days are allowed`);
  }
  const amazon = secret.provider.name === 'amazon-sp-api';
  if (amazon) checkAmazonDates(secret, report);
  if (gracePeriodMs > maxGracePeriodMs && !(amazon && gracePeriodMs > AMAZON_GRACE_PERIOD_MS)) {
    report(['gracePeriod'], `lasts ${formatDuration(gracePeriodMs)}, ${beyond}`);
  }
  if (quietPeriodMs > maxGracePeriodMs) {
    report(['quietPeriod'], `lasts ${formatDuration(quietPeriodMs)}, ${beyond}: no key could be quiet for so long`);
  }
}

function checkPhaseIn(secret: ApiKeyData, report: Report): void {
  const { gracePeriodMs } = apiKeyPeriods(secret);
  secret.phaseIn.forEach(({ after, percent }, index) => {
    const before = secret.phaseIn[index - 1];
    if (before && after <= before.after) {
      report(['phaseIn', index, 'after'], 'is not later than the step before: steps stand in ascending order');
    }
    if (before && percent <= before.percent) {
      report(['phaseIn', index, 'percent'], 'is not more than in the step before: steps stand in ascending order');
    }
    if (after > gracePeriodMs) {
      report(
        ['phaseIn', index, 'after'],
        `is after the end of the grace period, which lasts ${formatDuration(gracePeriodMs)}`,
      );
    }
  });
}

/** What no catalog can move. */
function checkAmazonDates({ gracePeriod, maxGracePeriod, maxAge = 0 }: ApiKeyData, report: Report): void {
  for (const [key, lasts = 0] of Object.entries({ gracePeriod, maxGracePeriod })) {
    if (lasts <= AMAZON_GRACE_PERIOD_MS) continue;
    report(
      [key],
      `lasts ${formatDuration(lasts)}: Amazon ends the old client secret 7 days after it issued the new one`,
    );
  }
  if (maxAge <= AMAZON_MAX_AGE_MS) return;
  report(['maxAge'], `is ${formatDuration(maxAge)}: Amazon refuses a client secret that is older than 180 days`);
}

/** Finds secrets of one environment whose names collide with those that rotations of API keys make; paths start below the environment's secrets. */
export function checkSecondaries(environment: string, { secrets }: EnvironmentData, report: Report): void {
  for (const [name, { type }] of Object.entries(secrets)) {
    const secondary = secondarySecretIdOf(name);
    if (type !== 'api-key' || !Object.hasOwn(secrets, secondary)) continue;
    const id = secretIdOf(environment, name);
    report([secondary], `is where a rotation of ${id} keeps its new key: one of the two needs another name`, 'key');
  }
}

/** Finds API keys that belong to the same account: each rotation would take the other's keys for its own. */
export function checkAccounts(catalog: CatalogData, report: Report): void {
  const owners = new Map<string, string>();
  for (const [environment, { secrets }] of Object.entries(catalog.environments)) {
    for (const [name, secret] of Object.entries(secrets)) {
      const account = secret.type === 'api-key' ? accountOf(secret.provider) : undefined;
      if (!account) continue;
      const owner = owners.get(account.id);
      if (owner === undefined) owners.set(account.id, secretIdOf(environment, name));
      else {
        report(
          ['environments', environment, 'secrets', name, 'provider', account.key],
          `is the one of ${owner} already: each of the two rotations would delete the keys of the other`,
        );
      }
    }
  }
}

function accountOf(provider: ApiKeyData['provider']): { key: string; id: string } | undefined {
  // IAM does not tell upper from lower case in names (CreateUser, parameter UserName).
  if (provider.name === 'aws-iam') return { key: 'user', id: `aws-iam ${provider.user.toLowerCase()}` };
  if (provider.name === 'amazon-sp-api') return { key: 'clientId', id: `amazon-sp-api ${provider.clientId}` };
  return undefined;
}
