import type { WorkflowClient } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../rotation/durations';
import { secretTypesOf } from '../../rotation/fleet';
import type { FleetPolicy, FleetSecret, FleetSurvey, FleetType } from '../../rotation/fleet';
import type { SecretType } from '../../rotation/names';
import type { RotationPlan } from '../../rotation/plan';
import type { UsageMetric } from '../../rotation/usage-metric';
import { readCatalog } from '../catalog';
import { parseDatabaseSecret } from '../secrets-manager/database-secret';
import type { SecretAges } from '../secrets-manager/ages';
import type { SecretStore } from '../secrets-manager/store';
import type { StepInput } from '../step-input';
import { referencesOf } from './references';
import type { DatabasePlace } from './references';
import { yieldToEmergency } from './yielding';

/** The catalog as fleets read it. */
export interface FleetCatalog {
  /** `schedule` is absent where a secret is rotated by hand. */
  secrets(environment: string): {
    secret: string;
    secretId: string;
    type: SecretType;
    maxAgeMs: number;
    schedule?: object;
    rotateAfterUses?: number;
    usesMetric?: UsageMetric;
  }[];
  plan(environment: string, secret: string): RotationPlan;
  fleetPolicy(environment: string): FleetPolicy;
}

export interface SurveyInput extends StepInput {
  environment: string;
  types?: FleetType[];
  /** Leave out what is not older than its `maxAge`, and what is rotated by hand. */
  due: boolean;
  /** Leave out what was rotated minutes ago. */
  spare: boolean;
  /** Refuse while an emergency of the environment runs; absent where the fleet began on an earlier worker. */
  yields?: boolean;
  /** Where the page begins. */
  from: number;
}

export interface SurveyDependencies {
  catalog: { load(): Promise<FleetCatalog> };
  secrets: Pick<SecretStore, 'readCurrent'>;
  ages: SecretAges;
  workflows: Pick<WorkflowClient, 'getHandle'>;
}

/** Few enough to be looked at in one attempt, also by a slow Secrets Manager. */
const PAGE = 200;
const LANES = 10;

/** Secrets Manager keeps room for new versions by removing old ones, which needs that time (AWS: 'PutSecretValue'). */
const BETWEEN_WRITES_MS = 10 * 60_000;

const BY_HAND: Pick<FleetSecret, 'skip'> = {
  skip: { outcome: 'not-due', reason: 'it is rotated by hand: the catalog gives it no schedule' },
};

export function createSurveyActivities({ catalog, secrets, ages, workflows }: SurveyDependencies) {
  /** What is not found out here the rotation will find out, and say better. */
  async function unlessRefused<T>(look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (error instanceof ApplicationFailure && error.nonRetryable) return undefined;
      throw error;
    }
  }

  async function placeOf({ type, secretId }: RotationPlan): Promise<DatabasePlace | undefined> {
    if (type !== 'database') return undefined;
    return unlessRefused(async () => {
      const { text } = await secrets.readCurrent(secretId);
      const { host, port, username } = parseDatabaseSecret(text, secretId);
      return { server: `${host}:${port}`, username };
    });
  }

  /** Asks for the version only where the secret's last change, which is never earlier, does not answer. */
  async function skipOf(
    secretId: string,
    maxAgeMs: number,
    { due, spare }: SurveyInput,
    now: number,
  ): Promise<Pick<FleetSecret, 'changedAt' | 'skip'>> {
    const age = await unlessRefused(() => ages.look(secretId));
    if (!age) return {};
    const maybeNotDue = due && now - age.changedAt <= maxAgeMs;
    const maybeTooSoon = spare && age.wasRotated && now - age.changedAt < BETWEEN_WRITES_MS;
    if (!maybeNotDue && !maybeTooSoon) return { changedAt: age.changedAt };
    const changedAt = (await unlessRefused(() => ages.currentSince(secretId))) ?? age.changedAt;
    const old = now - changedAt;
    const ago = formatDuration(Math.max(old, 0));
    if (maybeTooSoon && old < BETWEEN_WRITES_MS) {
      const reason = `it was rotated ${ago} ago; Secrets Manager takes a new version every 10 minutes. In an emergency: --emergency`;
      return { changedAt, skip: { outcome: 'too-soon', reason } };
    }
    if (maybeNotDue && old <= maxAgeMs) {
      return {
        changedAt,
        skip: { outcome: 'not-due', reason: `it is ${ago} old and may become ${formatDuration(maxAgeMs)}` },
      };
    }
    return { changedAt };
  }

  return {
    /**
     * One page of an environment's secrets: what each is, what it shares with others, and how old it is. Changes nothing.
     *
     * @throws AlreadyRunning for a fleet that yields to an emergency.
     */
    async surveyEnvironment(input: SurveyInput): Promise<FleetSurvey> {
      const { environment, types, from, yields } = input;
      if (yields && from === 0) await yieldToEmergency(workflows, environment);
      const { policy, wanted, planned } = await readCatalog(async () => {
        const loaded = await catalog.load();
        const known = secretTypesOf(types);
        return {
          policy: loaded.fleetPolicy(environment),
          wanted: loaded.secrets(environment).filter(({ type }) => known.has(type)),
          planned: (secret: string) => loaded.plan(environment, secret),
        };
      });
      const page = wanted.slice(from, from + PAGE);
      const found: FleetSecret[] = [];
      for (let n = 0; n < page.length; n += LANES) {
        found.push(
          ...(await Promise.all(
            page.slice(n, n + LANES).map(async ({ secret, secretId, type, maxAgeMs, schedule }) => {
              const plan = planned(secret);
              const skip = input.due && !schedule ? BY_HAND : await skipOf(secretId, maxAgeMs, input, Date.now());
              return { secret, type, ...referencesOf(plan, await placeOf(plan)), ...skip };
            }),
          )),
        );
      }
      const next = from + PAGE;
      return { policy, secrets: found, ...(next < wanted.length && { next }) };
    },
  };
}
