import { DEFAULT_MAX_AGE_MS } from '../../rotation/ages';
import type { AgesPage, SecretAgeEntry } from '../../rotation/ages';
import { secondarySecretIdOf, secretIdOf } from '../../rotation/names';
import type { ReviewCoverage } from '../../rotation/review';
import { measureAge, measureAgeCheck } from '../metrics';
import type { MetricSink } from '../metrics';
import { reviewedSecrets } from '../review/catalog';
import type { ReviewCatalog } from '../review/catalog';
import type { ListedSecret, SecretAges } from '../secrets-manager/ages';
import type { StepInput } from '../step-input';

export interface LookAtAgesInput extends StepInput {
  environment: string;
  /** Instead of the catalog's, in milliseconds. */
  limitMs?: number;
  /** Only the secrets that a review is of; all when absent. */
  covers?: ReviewCoverage;
  /** Where the page begins; the first page when absent. */
  from?: string;
}

export interface AgesDependencies {
  catalog: { load(): Promise<ReviewCatalog> };
  ages: SecretAges;
  metrics: MetricSink;
}

/** ListSecretVersionIds has a quota of 50 a second for the account (AWS: 'Secrets Manager quotas'). */
const LANES = 5;

export function createAgesActivities({ catalog, ages, metrics }: AgesDependencies) {
  /** A version cannot be younger than its secret's last change; what the list says of that may be older than the version. */
  async function madeAt(secretId: string, listedChange: number): Promise<number> {
    const made = await ages.currentSince(secretId);
    if (made === undefined) return listedChange;
    if (made <= listedChange) return made;
    return Math.min(made, (await ages.look(secretId))?.changedAt ?? made);
  }

  return {
    /** How old the current versions of one page of secrets are; it is measured too. Reads no value. */
    async lookAtAges({ environment, limitMs, covers = 'all', from }: LookAtAgesInput): Promise<AgesPage> {
      const { secrets: declared, others, undeclaredToo } = await reviewedSecrets(catalog, environment, covers);
      const known = new Map(declared.map((secret) => [secret.secretId, secret]));
      const leftOut = new Set(others.map(({ secretId }) => secretId));
      // The second key of a grace period comes and goes with its primary.
      const secondaries = new Set(
        [...declared, ...others]
          .filter(({ type }) => type === 'api-key')
          .map(({ secretId }) => secondarySecretIdOf(secretId)),
      );
      const now = Date.now();
      const entryOf = async ({ secretId, current, changedAt }: ListedSecret): Promise<SecretAgeEntry> => {
        const since = await madeAt(secretId, changedAt);
        const secret = secretId.slice(environment.length + 1);
        const limit = limitMs ?? known.get(secretId)?.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
        measureAge({ environment, secret, ageMs: Math.max(now - since, 0) }, metrics);
        return {
          secret,
          type: known.get(secretId)?.type,
          version: current,
          since: new Date(since).toISOString(),
          limitMs: limit,
          dueAt: new Date(since + limit).toISOString(),
          overdue: now - since > limit,
        };
      };

      const page = await ages.list(secretIdOf(environment, ''), from);
      const isWanted = ({ secretId }: ListedSecret) =>
        known.has(secretId) || (undeclaredToo && !leftOut.has(secretId) && !secondaries.has(secretId));
      const listed = page.secrets.filter(isWanted);
      const secrets: SecretAgeEntry[] = [];
      for (let n = 0; n < listed.length; n += LANES) {
        secrets.push(...(await Promise.all(listed.slice(n, n + LANES).map(entryOf))));
      }
      if (page.next === undefined && covers === 'all') measureAgeCheck(environment);
      return { secrets, ...(page.next !== undefined && { next: page.next }) };
    },

    /** The secrets that the catalog declares and Secrets Manager's list may lack. */
    async listDeclared({ environment, limitMs, covers = 'all' }: LookAtAgesInput): Promise<SecretAgeEntry[]> {
      const { secrets } = await reviewedSecrets(catalog, environment, covers);
      return secrets.map(({ secret, type, maxAgeMs }) => ({
        secret,
        type,
        limitMs: limitMs ?? maxAgeMs,
        overdue: false,
      }));
    },
  };
}
