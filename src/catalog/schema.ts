import { z } from 'zod';
import { SECRET_TYPES } from '../rotation/names';
import { SSL_MODES } from '../rotation/plan';
import { nameOf } from './problems';
import { alphabet, duration, environmentName, healthUrl, line, noneOf, oneOf, roleName, secretName } from './values';

/** How often somebody looks at a secret and asks whether it is still needed. */
const REVIEW_INTERVALS = ['weekly', 'monthly', 'quarterly', 'yearly'] as const;
export type ReviewInterval = (typeof REVIEW_INTERVALS)[number];

const DATABASE_STRATEGIES = ['single-user', 'alternating-users'] as const;

const policy = {
  maxAge: duration('How old the secret may become before it is to be rotated').optional(),
  review: oneOf(REVIEW_INTERVALS).optional().describe('How often somebody asks whether the secret is still needed'),
  stepTimeout: duration(
    'How long one step is retried before the rotation is rolled back; 15 minutes when absent',
  ).optional(),
  rollbackTimeout: duration(
    'How long one compensation is retried before it is reported as left to do by hand; 24 hours when absent',
  ).optional(),
};

const gracePeriod = duration(
  'alternating-users: how long the login out of use stays unlocked after a rotation; until the next rotation when absent',
  true,
).optional();

const dependent = z.strictObject({
  http: z
    .strictObject({
      name: line('What the workload is called in messages'),
      healthUrl,
      expectStatus: z
        .int()
        .min(100)
        .max(599)
        .default(200)
        .describe('The HTTP status that means healthy; 200 when absent'),
      timeout: duration('How long the workload may take to become healthy; 1 minute when absent').default(60_000),
    })
    .describe('A workload whose health is checked over HTTP'),
});

/** Secrets Manager's largest value (AWS Secrets Manager quotas). */
const LARGEST_VALUE_BYTES = 65_536;
/** The longest password that RDS accepts for PostgreSQL (CreateDBInstance, parameter MasterUserPassword). */
const LONGEST_DATABASE_PASSWORD = 128;
const SHORTEST_VALUE = 16;

function secretKeys(longest: number, usualLength: number) {
  return {
    description: line('What the secret is for').optional(),
    ...policy,
    length: z
      .int()
      .min(SHORTEST_VALUE)
      .max(longest)
      .optional()
      .describe(`How many characters a new value has; ${usualLength} when absent`),
    alphabet: alphabet.optional(),
    dependents: z.array(dependent).default([]).describe('Workloads that must be seen working with the new version'),
  };
}

const appSecret = z.strictObject({
  type: z.literal('app-secret'),
  ...secretKeys(LARGEST_VALUE_BYTES, 64),
  field: line('The field of a JSON secret to rotate, the others are kept; the whole string when absent').optional(),
});

const MAY_DROP_TLS =
  'is refused because it may drop TLS silently: write verify-full, or disable where TLS is really not wanted';

const sslmode = oneOf(SSL_MODES, { prefer: MAY_DROP_TLS, allow: MAY_DROP_TLS })
  .default('verify-full')
  .describe('How the database session is protected when the secret itself does not say; verify-full when absent');

const ADMIN_SECRET =
  'The name, in the same environment, of the secret whose login may create and alter the logins of this one';

const databaseKeys = {
  type: z.literal('database'),
  ...secretKeys(LONGEST_DATABASE_PASSWORD, 32),
  sslmode,
  sslRootCert: line(
    'A PEM file with the certificate authorities to trust, relative to the catalog file, on the worker',
  ).optional(),
};

const singleUserDatabase = z.strictObject({
  ...databaseKeys,
  strategy: z.literal('single-user'),
  adminSecret: secretName.optional().describe(`${ADMIN_SECRET}; when absent, the login changes its own password`),
});

const alternatingUsersDatabase = z.strictObject({
  ...databaseKeys,
  strategy: z.literal('alternating-users'),
  groupRole: roleName('The NOLOGIN role that owns everything; both logins are members of it'),
  adminSecret: secretName.describe(ADMIN_SECRET),
  logins: z
    .tuple([roleName('One login'), roleName('The other login')])
    .optional()
    .describe("The two logins that take turns; the secret's own and the same followed by _clone when absent"),
  gracePeriod,
});

const secret = z.discriminatedUnion(
  'type',
  [
    appSecret,
    z.discriminatedUnion('strategy', [singleUserDatabase, alternatingUsersDatabase], {
      error: ({ input, code }) =>
        code === 'invalid_union' ? chooseOne(input, 'strategy', DATABASE_STRATEGIES) : undefined,
    }),
  ],
  { error: ({ input, code }) => (code === 'invalid_union' ? chooseOne(input, 'type', SECRET_TYPES) : undefined) },
);

function chooseOne(mapping: unknown, key: string, words: readonly string[]): string {
  const written = (mapping as Record<string, unknown>)[key];
  if (written === undefined || written === null) return `is missing: one of ${words.join(', ')}`;
  if (typeof written !== 'string') return `must be one of ${words.join(', ')}, not ${nameOf(written)}`;
  return noneOf(words, written);
}

const environment = z.strictObject({
  ...policy,
  gracePeriod,
  secrets: z.record(secretName, secret).describe('The secrets of this environment, by their names'),
});

/** The catalog file. What is parsed has its durations in milliseconds and its alphabets expanded. */
export const catalogSchema = z.strictObject({
  environments: z.record(environmentName, environment).describe('The environments, by their names'),
});

/** The catalog as parsed: durations in milliseconds, alphabets expanded. */
export type CatalogData = z.output<typeof catalogSchema>;
export type EnvironmentData = z.output<typeof environment>;
export type SecretData = z.output<typeof secret>;

/** What a mapping is and which keys it may have, by its path in the catalog. */
export function knownKeysAt(path: readonly PropertyKey[], mapping: unknown): { of: string; keys: string[] } {
  if (path.length === 0) return { of: 'the catalog', keys: Object.keys(catalogSchema.shape) };
  if (path.length === 2) return { of: 'an environment', keys: Object.keys(environment.shape) };
  if (path.at(-1) === 'http') return { of: 'an HTTP dependent', keys: Object.keys(dependent.shape.http.shape) };
  if (path.length > 4) return { of: 'a dependent', keys: Object.keys(dependent.shape) };
  const { type, strategy } = mapping as { type: unknown; strategy?: unknown };
  if (type === 'app-secret') return { of: 'an app secret', keys: Object.keys(appSecret.shape) };
  const database = strategy === 'single-user' ? singleUserDatabase : alternatingUsersDatabase;
  return { of: `a database secret with ${String(strategy)}`, keys: Object.keys(database.shape) };
}

/** Every key that some secret may have. */
export const SECRET_KEYS: ReadonlySet<string> = new Set(
  [appSecret, singleUserDatabase, alternatingUsersDatabase].flatMap((variant) => Object.keys(variant.shape)),
);
