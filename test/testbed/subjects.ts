import type { RotationPlan } from '../../src/rotation/plan';
import type { RotationInput } from '../../src/rotation/types';
import { apiKeyRecipe } from '../../src/workflows/api-key-recipe';
import { alternatingUsersRecipe } from '../../src/workflows/database-alternating-users';
import { singleUserRecipe } from '../../src/workflows/database-single-user';
import { appSecretRecipe } from '../../src/workflows/rotate-app-secret';
import type { Recipe } from '../../src/workflows/saga/step';
import { accepted, createApiKey } from './api-keys';
import type { KeyDocument } from './api-keys';
import { startFakeKeyService } from './fake-key-service';
import type { FakeKeyService } from './fake-key-service';
import { contextOf, reasonFor } from './recipe-contexts';
import { situationOf } from './situation';
import type { Situation } from './situation';
import type { Testbed } from './testbed';

/** The recipes, so that tests run over their own lists of steps and a new step is covered without anyone remembering. */
export const RECIPES = {
  'app-secret': appSecretRecipe as Recipe<RotationPlan>,
  'single-user': singleUserRecipe as Recipe<RotationPlan>,
  'alternating-users': alternatingUsersRecipe as Recipe<RotationPlan>,
  'api-key': apiKeyRecipe as Recipe<RotationPlan>,
} as const;

export type Kind = keyof typeof RECIPES;
export const KINDS = Object.keys(RECIPES) as Kind[];

/** Their values are drawn here, where an API key is made by its provider. */
export type DrawnKind = Exclude<Kind, 'api-key'>;
export const DRAWN_KINDS = KINDS.filter((kind): kind is DrawnKind => kind !== 'api-key');

/** The step after which a rotation that is terminated has changed all that its successor must find. */
export const LEAVES_MOST_AFTER: Record<Kind, string> = {
  'app-secret': 'createCandidate',
  'single-user': 'setPassword',
  'alternating-users': 'prepareLogin',
  'api-key': 'createKey',
};

/** Both their credentials work for a while. */
export const hasGracePeriod = (kind: Kind) => kind === 'alternating-users' || kind === 'api-key';

/** The steps that there are in some rotation of the tests. */
export const stepsReached = (kind: Kind) => RECIPES[kind].filter((step) => reasonFor(kind, step));

/** Where the steps begin that cannot be undone; after the last where all can. */
function pointOfNoReturn(kind: Kind): number {
  const first = stepsReached(kind).findIndex((step) => step.pointOfNoReturn?.(contextOf(kind)));
  return first === -1 ? stepsReached(kind).length : first;
}

/** The steps that an operator may still abort: all before the point of no return. */
export const abortableSteps = (kind: Kind): string[] =>
  stepsReached(kind)
    .slice(0, pointOfNoReturn(kind))
    .map(({ name }) => name);

/** The steps from the point of no return on. */
export const irrevocableSteps = (kind: Kind): string[] =>
  stepsReached(kind)
    .slice(pointOfNoReturn(kind))
    .map(({ name }) => name);

/** The input with which a rotation gets to a step; the catalog's grace period must be longer than a test. */
export function inputReaching(kind: Kind, step: string): Partial<RotationInput> {
  const own = RECIPES[kind].find(({ name }) => name === step);
  if (own && reasonFor(kind, own)?.emergency) return { emergency: true };
  if (!hasGracePeriod(kind) || step === 'gracePeriod') return {};
  return { gracePeriod: '1 s' };
}

/** A secret of a kind, with what belongs to it. */
export interface Subject {
  kind: Kind;
  secret: string;
  /** Its logins; none where it is not a database's. */
  logins: string[];
  /** Where its keys come from, when it is an API key. It has room for two. */
  service?: FakeKeyService;
  situation(): Promise<Situation>;
  /**
   * Whether AWSCURRENT opens the target: the database, or the service of an API key; true for an application secret, which opens nothing.
   *
   * @param versionId another version.
   */
  opens(versionId?: string): Promise<boolean>;
}

/**
 * @param declaration merged into the catalog's.
 * @param fields merged into a database secret's JSON, such as the port of a proxy.
 */
export async function createSubject(
  bed: Testbed,
  kind: Kind,
  secret: string,
  declaration: Record<string, unknown> = {},
  fields: Record<string, unknown> = {},
): Promise<Subject> {
  const { logins = [], service } = await create(bed, kind, secret, declaration, fields);
  return {
    kind,
    secret,
    logins,
    service,
    situation: () => situationOf(bed, secret, logins, service),
    async opens(versionId) {
      if (kind === 'app-secret') return true;
      if (!service) return bed.databases.opens(secret, versionId === undefined ? 'AWSCURRENT' : { versionId });
      const { key = '' } = JSON.parse(
        await (versionId === undefined ? bed.secrets.value(secret) : bed.secrets.valueOfVersion(secret, versionId)),
      ) as KeyDocument;
      return accepted(service, key);
    },
  };
}

async function create(
  bed: Testbed,
  kind: Kind,
  secret: string,
  declaration: Record<string, unknown>,
  fields: Record<string, unknown>,
): Promise<Partial<Pick<Subject, 'logins' | 'service'>>> {
  switch (kind) {
    case 'app-secret':
      await bed.secrets.create(secret, `first-value-of-${secret}`);
      await bed.declare({ [secret]: { type: 'app-secret', ...declaration } });
      return {};
    case 'single-user':
      return { logins: [(await bed.databases.singleUser(secret, { declaration, fields })).username] };
    case 'alternating-users': {
      const { username } = await bed.databases.alternatingUsers(secret, { declaration, fields });
      return { logins: [username, `${username}_clone`] };
    }
    case 'api-key': {
      const service = await startKeyService(bed);
      await createApiKey(bed, service, secret, { gracePeriod: '1 second', quietPeriod: '2 seconds', ...declaration });
      return { service };
    }
  }
}

/** A service for one secret, which never has more keys than an old and a new one; it ends with the bed. */
async function startKeyService(bed: Testbed): Promise<FakeKeyService> {
  const service = await startFakeKeyService({ maxKeys: 2 });
  bed.alsoSecret(() => service.everyValue());
  bed.alsoStop(service);
  return service;
}
