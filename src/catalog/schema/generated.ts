import { z } from 'zod';
import { SSL_MODES } from '../../rotation/plan';
import { alphabet, duration, line, oneOf, roleName, secretName } from '../values';
import { chooseOne } from './choice';
import { secretKeys } from './policy';

/** Secrets Manager's largest value (AWS Secrets Manager quotas). */
const LARGEST_VALUE_BYTES = 65_536;
/** The longest password that RDS accepts for PostgreSQL (CreateDBInstance, parameter MasterUserPassword). */
const LONGEST_DATABASE_PASSWORD = 128;
const SHORTEST_VALUE = 16;

/** What secrets may say whose values Keyturn makes up itself. */
function generatedKeys(longest: number, usualLength: number) {
  const { dependents, delivery, ...others } = secretKeys;
  return {
    ...others,
    length: z
      .int()
      .min(SHORTEST_VALUE)
      .max(longest)
      .optional()
      .describe(`How many characters a new value has; ${usualLength} when absent`),
    alphabet: alphabet.optional(),
    dependents,
    delivery,
  };
}

export const appSecret = z.strictObject({
  type: z.literal('app-secret'),
  ...generatedKeys(LARGEST_VALUE_BYTES, 64),
  field: line('The field of a JSON secret to rotate, the others are kept; the whole string when absent').optional(),
});

const DATABASE_STRATEGIES = ['single-user', 'alternating-users'] as const;

const MAY_DROP_TLS =
  'is refused because it may drop TLS silently: write verify-full, or disable where TLS is really not wanted';

const sslmode = oneOf(SSL_MODES, { prefer: MAY_DROP_TLS, allow: MAY_DROP_TLS })
  .default('verify-full')
  .describe('How the database session is protected when the secret itself does not say; verify-full when absent');

const ADMIN_SECRET =
  'The name, in the same environment, of the secret whose login may create and alter the logins of this one';

const databaseKeys = {
  type: z.literal('database'),
  ...generatedKeys(LONGEST_DATABASE_PASSWORD, 32),
  sslmode,
  sslRootCert: line(
    'A PEM file with the certificate authorities to trust, relative to the catalog file, on the worker',
  ).optional(),
};

export const singleUserDatabase = z.strictObject({
  ...databaseKeys,
  strategy: z.literal('single-user'),
  adminSecret: secretName.optional().describe(`${ADMIN_SECRET}; when absent, the login changes its own password`),
});

export const alternatingUsersDatabase = z.strictObject({
  ...databaseKeys,
  strategy: z.literal('alternating-users'),
  groupRole: roleName('The NOLOGIN role that owns everything; both logins are members of it'),
  adminSecret: secretName.describe(ADMIN_SECRET),
  logins: z
    .tuple([roleName('One login'), roleName('The other login')])
    .optional()
    .describe("The two logins that take turns; the secret's own and the same followed by _clone when absent"),
  gracePeriod: duration(
    'How long the login out of use stays unlocked after a rotation; until the next rotation when absent',
    true,
  ).optional(),
});

export const database = z.discriminatedUnion(
  'strategy',
  [singleUserDatabase, alternatingUsersDatabase],
  chooseOne('strategy', DATABASE_STRATEGIES),
);
