import { formatDuration } from '../rotation/durations';
import { secondarySecretIdOf, secretIdOf } from '../rotation/names';
import { checkAccounts, checkApiKey, checkSecondaries } from './api-key-rules';
import { secretPolicy } from './defaults';
import { checkDependents } from './dependent-rules';
import type { CatalogDocument } from './document';
import { checkNotifications } from './notification-rules';
import { passwordPolicyOf } from './plans';
import type { CatalogProblem, Report } from './problems';
import { checkEnvironmentSchedules, checkSchedule } from './schedule-rules';
import type { CatalogData, EnvironmentData, SecretData } from './schema';

type DatabaseData = Extract<SecretData, { type: 'database' }>;

/** CreateSecret, parameter Name. */
const LONGEST_SECRET_ID = 512;
/** What guessing must cost at least: 16 hexadecimal digits. */
const FEWEST_BITS = 64;

/** Finds what is wrong between values that are each right. */
export function brokenRules(catalog: CatalogData, document: CatalogDocument): CatalogProblem[] {
  const problems: CatalogProblem[] = [];
  const reportBelow =
    (...place: PropertyKey[]): Report =>
    (path, message, what) =>
      problems.push(document.problemAt([...place, ...path], message, what));
  for (const [environment, environmentData] of Object.entries(catalog.environments)) {
    checkEnvironmentSchedules(environmentData, reportBelow('environments', environment));
    for (const [name, secret] of Object.entries(environmentData.secrets)) {
      const report = reportBelow('environments', environment, 'secrets', name);
      checkSecretId(environment, name, secret, report);
      checkDependents(environment, environmentData, secret, report);
      checkGracePeriod(environment, environmentData, name, secret, report);
      checkSchedule(environment, environmentData, name, secret, report);
      if (secret.type === 'api-key') checkApiKey(name, secret, report);
      else checkStrength(secret, report);
      if (secret.type === 'database') checkDatabase(name, secret, report);
    }
    checkSecondaries(environment, environmentData, reportBelow('environments', environment, 'secrets'));
  }
  checkAccounts(catalog, reportBelow());
  checkNotifications(catalog, reportBelow('notifications'));
  return problems;
}

function checkSecretId(environment: string, name: string, { type }: SecretData, report: Report): void {
  const secretId = secretIdOf(environment, name);
  const longest = type === 'api-key' ? secondarySecretIdOf(secretId) : secretId;
  if (longest.length <= LONGEST_SECRET_ID) return;
  const parts = type === 'api-key' ? 'a slash, the name and -secondary' : 'a slash and the name';
  report(
    [],
    `the environment, ${parts} are ${longest.length} characters: Secrets Manager allows ${LONGEST_SECRET_ID}`,
    'key',
  );
}

function checkStrength(secret: SecretData, report: Report): void {
  const { length, classes } = passwordPolicyOf(secret);
  const size = classes.join('').length;
  const bits = Math.floor(length * Math.log2(size));
  if (size < 2) return report(['alphabet'], 'must have at least two different characters');
  if (bits >= FEWEST_BITS) return undefined;
  return report(
    ['alphabet'],
    `${length} characters out of ${size} are ${bits} bits, fewer than ${FEWEST_BITS}: more length or more characters are needed`,
  );
}

function checkDatabase(name: string, secret: DatabaseData, report: Report): void {
  if (secret.adminSecret === name) {
    report(['adminSecret'], 'is this secret itself: name one whose login may alter the logins of this one');
  }
  if (secret.sslRootCert !== undefined && (secret.sslmode === 'disable' || secret.sslmode === 'require')) {
    report(
      ['sslRootCert'],
      `has no effect with sslmode ${secret.sslmode}, which checks no certificate: write verify-full or verify-ca`,
    );
  }
  if (secret.strategy === 'alternating-users' && secret.logins) {
    const [one, other] = secret.logins;
    if (one === other) report(['logins'], 'names the same login twice');
    if (secret.logins.includes(secret.groupRole)) {
      report(['logins'], 'names the group role: both logins need names of their own');
    }
  }
}

function checkGracePeriod(
  environment: string,
  environmentData: EnvironmentData,
  name: string,
  secret: SecretData,
  report: Report,
): void {
  const { gracePeriodMs, maxAgeMs } = secretPolicy(environment, environmentData, name, secret);
  if (gracePeriodMs === undefined || gracePeriodMs < maxAgeMs) return;
  report(
    ['gracePeriod'],
    `lasts ${formatDuration(gracePeriodMs)} and would not end before the next rotation is due after ${formatDuration(maxAgeMs)}`,
  );
}
