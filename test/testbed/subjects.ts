import type { RotationPlan } from '../../src/rotation/plan';
import type { RotationInput } from '../../src/rotation/types';
import { alternatingUsersRecipe } from '../../src/workflows/database-alternating-users';
import { singleUserRecipe } from '../../src/workflows/database-single-user';
import { appSecretRecipe } from '../../src/workflows/rotate-app-secret';
import type { Recipe } from '../../src/workflows/saga/step';
import { situationOf } from './situation';
import type { Situation } from './situation';
import type { Testbed } from './testbed';

/** The recipes, so that tests run over their own lists of steps and a new step is covered without anyone remembering. */
export const RECIPES = {
  'app-secret': appSecretRecipe as Recipe<RotationPlan>,
  'single-user': singleUserRecipe as Recipe<RotationPlan>,
  'alternating-users': alternatingUsersRecipe as Recipe<RotationPlan>,
} as const;

export type Kind = keyof typeof RECIPES;
export const KINDS = Object.keys(RECIPES) as Kind[];

/** The steps that an operator may still abort: all before the point of no return. */
export function abortableSteps(kind: Kind): string[] {
  const names = RECIPES[kind].map(({ name }) => name);
  const last = RECIPES[kind].findIndex(({ pointOfNoReturn }) => pointOfNoReturn);
  return last === -1 ? names : names.slice(0, last);
}

/** The input with which a rotation gets to a step; the catalog's grace period must be longer than a test. */
export function inputReaching(kind: Kind, step: string): Partial<RotationInput> {
  if (kind !== 'alternating-users' || step === 'gracePeriod') return {};
  return step === 'endOldSessions' ? { emergency: true } : { gracePeriod: '1 s' };
}

/** A secret of a kind, with what belongs to it. */
export interface Subject {
  kind: Kind;
  secret: string;
  /** Its logins; none for an application secret. */
  logins: string[];
  situation(): Promise<Situation>;
  /** Whether AWSCURRENT opens the database; true for an application secret, which opens nothing. */
  opens(): Promise<boolean>;
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
  const logins = await create(bed, kind, secret, declaration, fields);
  return {
    kind,
    secret,
    logins,
    situation: () => situationOf(bed, secret, logins),
    opens: () => (kind === 'app-secret' ? Promise.resolve(true) : bed.databases.opens(secret)),
  };
}

async function create(
  bed: Testbed,
  kind: Kind,
  secret: string,
  declaration: Record<string, unknown>,
  fields: Record<string, unknown>,
): Promise<string[]> {
  switch (kind) {
    case 'app-secret':
      await bed.secrets.create(secret, `first-value-of-${secret}`);
      await bed.declare({ [secret]: { type: 'app-secret', ...declaration } });
      return [];
    case 'single-user':
      return [(await bed.databases.singleUser(secret, { declaration, fields })).username];
    case 'alternating-users': {
      const { username } = await bed.databases.alternatingUsers(secret, { declaration, fields });
      return [username, `${username}_clone`];
    }
  }
}
