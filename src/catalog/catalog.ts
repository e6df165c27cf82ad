import type { EventSettings } from '../rotation/events';
import { secretIdOf, type SecretType } from '../rotation/names';
import type { NotificationSettings } from '../rotation/notifications';
import type { RotationPlan } from '../rotation/plan';
import type { Review } from '../rotation/review';
import type { FleetPolicy } from '../rotation/fleet';
import type { UsageMetric } from '../rotation/usage-metric';
import { administratorPlan, administrators, environmentBackupOf, type EnvironmentBackup } from './backups';
import { environmentPolicy, secretPolicy, type EnvironmentPolicy } from './defaults';
import { readDocument } from './document';
import { fleetPolicyOf } from './fleet-policy';
import { explainIssue, problemsOf } from './explain';
import { notificationsOf } from './notifications';
import { planOf } from './plans';
import { CatalogError, quoted, type CatalogProblem } from './problems';
import { brokenRules } from './rules';
import { secretSchedule, type SecretSchedule } from './schedules';
import { catalogSchema, type CatalogData, type EnvironmentData, type SecretData } from './schema';
import { didYouMean } from './similar-names';
import { usageMetricOf } from './usage-metric';

/** A declared secret, as lists show it. */
export interface CatalogSecret {
  environment: string;
  /** The name below the environment. */
  secret: string;
  /** `{environment}/{secret}`: its name in Secrets Manager. */
  secretId: string;
  type: SecretType;
  description?: string;
  /** How old it may become before it is to be rotated, in milliseconds. */
  maxAgeMs: number;
  review: Review;
  /** When it is rotated by itself; absent when by hand. */
  schedule?: SecretSchedule;
  /** After how many uses it is rotated; absent when uses do not matter. */
  rotateAfterUses?: number;
  /** What counts its uses, beside reports. */
  usesMetric?: UsageMetric;
}

/** What a catalog file declares, with all defaults filled in. It does not change when the file does. */
export interface Catalog {
  /** The file it was read from, as the operator named it. */
  readonly path: string;
  /** In the file's order. */
  environments(): EnvironmentPolicy[];
  /**
   * The secrets of one environment, or of all, in the file's order.
   *
   * @throws UnknownSecretError when there is no such environment.
   */
  secrets(environment?: string): CatalogSecret[];
  /**
   * What a rotation of the secret needs to know.
   *
   * @throws UnknownSecretError when the catalog does not declare it.
   */
  plan(environment: string, secret: string): RotationPlan;
  /**
   * How fast the environment is rotated as a whole.
   *
   * @throws UnknownSecretError when there is no such environment.
   */
  fleetPolicy(environment: string): FleetPolicy;
  /** Who is told of what in an environment; one that the catalog does not declare has the routes that are for all. */
  notifications(environment: string): NotificationSettings;
  /**
   * What restoring the secret needs to know: the same, and also for a secret that only serves others as their administrator's.
   *
   * @throws UnknownSecretError when the catalog does not name it.
   */
  restorePlan(environment: string, secret: string): RotationPlan;
  /**
   * How an environment is backed up; `undefined` where the catalog says nothing of that.
   *
   * @throws UnknownSecretError when there is no such environment.
   */
  backup(environment: string): EnvironmentBackup | undefined;
  /** The queue of events, and what is done about them; `undefined` where the catalog says nothing of that. */
  events(): EventSettings | undefined;
}

/** Thrown when an environment or a secret is asked for that the catalog does not declare; its message names similar ones. */
export class UnknownSecretError extends Error {
  override readonly name = 'UnknownSecretError';
}

/**
 * Reads the catalog's text.
 *
 * @param path the file it comes from, for messages and for the paths in it.
 * @throws CatalogError with every mistake in it.
 */
export function parseCatalog(path: string, text: string, consequence?: string): Catalog {
  const refuse = (problems: CatalogProblem[]) => new CatalogError(path, inOrder(problems), consequence);
  const read = readDocument(text);
  if ('problems' in read) throw refuse(read.problems);
  const parsed = catalogSchema.safeParse(read.document.value, { error: explainIssue, reportInput: true });
  if (!parsed.success) throw refuse(problemsOf(parsed.error.issues, read.document));
  const broken = brokenRules(parsed.data, read.document);
  if (broken.length > 0) throw refuse(broken);
  return new ParsedCatalog(
    path,
    new Map(Object.entries(parsed.data.environments)),
    parsed.data.notifications,
    parsed.data.events,
  );
}

/** As they stand in the file, without those that a syntax error caused twice at the same place. */
function inOrder(problems: CatalogProblem[]): CatalogProblem[] {
  const distinct = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...distinct.values()].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

class ParsedCatalog implements Catalog {
  constructor(
    readonly path: string,
    private readonly declared: ReadonlyMap<string, EnvironmentData>,
    private readonly told: CatalogData['notifications'],
    private readonly heeded: CatalogData['events'],
  ) {}

  environments(): EnvironmentPolicy[] {
    return [...this.declared].map(([environment, data]) => environmentPolicy(environment, data));
  }

  secrets(environment?: string): CatalogSecret[] {
    const environments = environment === undefined ? [...this.declared.keys()] : [environment];
    return environments.flatMap((name) => {
      const data = this.environment(name);
      return Object.entries(data.secrets).map(([secret, written]) => {
        const { maxAgeMs, review } = secretPolicy(name, data, secret, written);
        const schedule = secretSchedule(data, written, maxAgeMs);
        return {
          environment: name,
          secret,
          secretId: secretIdOf(name, secret),
          type: written.type,
          ...(written.description !== undefined && { description: written.description }),
          maxAgeMs,
          review,
          ...(schedule && { schedule }),
          ...(written.rotateAfterUses !== undefined && { rotateAfterUses: written.rotateAfterUses }),
          ...(written.usesMetric !== undefined && { usesMetric: usageMetricOf(written.usesMetric) }),
        };
      });
    });
  }

  plan(environment: string, secret: string): RotationPlan {
    const data = this.environment(environment);
    const declared = new Map<string, SecretData>(Object.entries(data.secrets));
    const written = declared.get(secret);
    if (written === undefined) {
      throw new UnknownSecretError(
        `${this.path} declares no secret ${quoted(secret)} in the environment ${environment}${hint(secret, declared.keys())}`,
      );
    }
    const { routes } = this.notifications(environment);
    return {
      ...planOf(this.path, environment, data, secret, written),
      ...(routes.length > 0 && { notifications: routes }),
    };
  }

  notifications(environment: string): NotificationSettings {
    return notificationsOf(this.told, environment);
  }

  fleetPolicy(environment: string): FleetPolicy {
    return fleetPolicyOf(this.environment(environment));
  }

  restorePlan(environment: string, secret: string): RotationPlan {
    const data = this.environment(environment);
    const served = Object.hasOwn(data.secrets, secret) ? undefined : administrators(data).get(secret);
    return served === undefined
      ? this.plan(environment, secret)
      : administratorPlan(secret, this.plan(environment, served));
  }

  backup(environment: string): EnvironmentBackup | undefined {
    return environmentBackupOf(this.environment(environment));
  }

  events(): EventSettings | undefined {
    return this.heeded;
  }

  private environment(environment: string): EnvironmentData {
    const data = this.declared.get(environment);
    if (data === undefined) {
      throw new UnknownSecretError(
        `${this.path} declares no environment ${quoted(environment)}${hint(environment, this.declared.keys())}`,
      );
    }
    return data;
  }
}

const MOST_NAMED = 10;

/** The similar names; without any, the declared ones. */
function hint(name: string, declared: Iterable<string>): string {
  const all = [...declared];
  const similar = didYouMean(name, all);
  if (similar || all.length === 0) return similar;
  const more = all.length > MOST_NAMED ? ` and ${all.length - MOST_NAMED} more` : '';
  return `; it has ${all.slice(0, MOST_NAMED).join(', ')}${more}`;
}
