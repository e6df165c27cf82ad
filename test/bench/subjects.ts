import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { stringify } from 'yaml';
import { scramVerifier } from '../../src/activities/postgres/scram';
import { inLanes } from '../../src/rotation/in-lanes';
import { secretIdOf } from '../../src/rotation/names';
import { asSuperuser } from '../lab/audit-database';
import type { Lab } from '../lab/lab';

/** Of this run alone, so that it can be repeated on servers that outlive it. */
const RUN = randomBytes(4).toString('hex');

export const ENVIRONMENT = `bench-${RUN}`;
export const TASK_QUEUE = `keyturn-bench-${RUN}`;

/** How many rotations run at once at most; each on its own secret and login. */
export const MOST_AT_ONCE = 100;
export const RECOVERIES = 6;

/** Who works on a secret; each has secrets and logins of its own, so that none finds another's leftovers. */
export type Contender = 'rotation' | 'floor' | 'sample';

/** Secrets by name below the environment. */
export const singleUser = (contender: Contender, n: number): string => `${contender}/${n}`;
export const recovery = (n: number): string => `recovery/${n}`;
export const APP_SECRET = 'app-secret';
export const ALTERNATING = 'alternating';

const DATABASE = 'bench';
const GROUP_ROLE = 'bench_owner';
const ADMIN = 'alternating-admin';

/** What all share, because a login's verifier is costly to compute and says nothing about the figures. */
const FIRST_PASSWORD = randomBytes(24).toString('base64url');

const SINGLE_USERS = [
  ...(['rotation', 'floor', 'sample'] as const).flatMap((contender) =>
    Array.from({ length: MOST_AT_ONCE }, (_, n) => singleUser(contender, n)),
  ),
  ...Array.from({ length: RECOVERIES }, (_, n) => recovery(n)),
];

const loginOf = (secret: string) => `bench_${secret.replace('/', '_')}`;

/** Makes all secrets, logins and the catalog that the measurements work on. */
export async function createSubjects(lab: Lab, secretsManager: SecretsManagerClient, catalog: string): Promise<void> {
  await createLogins(lab);
  const logins = [...SINGLE_USERS, ALTERNATING, ADMIN].map((secret) => [secret, databaseSecret(lab, secret)] as const);
  await inLanes([...logins, [APP_SECRET, FIRST_PASSWORD] as const], 4, async ([secret, text]) => {
    const Name = secretIdOf(ENVIRONMENT, secret);
    await secretsManager.send(new CreateSecretCommand({ Name, SecretString: text }));
  });
  await writeFile(catalog, stringify({ environments: { [ENVIRONMENT]: { secrets: declarations() } } }));
}

async function createLogins(lab: Lab): Promise<void> {
  const verifier = escapeLiteral(await scramVerifier(FIRST_PASSWORD, '', ''));
  const role = (secret: string) => escapeIdentifier(loginOf(secret));
  const alternating = role(ALTERNATING);
  const statements = [
    `CREATE ROLE ${GROUP_ROLE} NOLOGIN`,
    ...[...SINGLE_USERS, ALTERNATING].map((secret) => `CREATE ROLE ${role(secret)} LOGIN PASSWORD ${verifier}`),
    `CREATE ROLE ${role(ADMIN)} LOGIN CREATEROLE PASSWORD ${verifier}`,
    `GRANT ${GROUP_ROLE} TO ${alternating}`,
    ...[GROUP_ROLE, alternating].map((name) => `GRANT ${name} TO ${role(ADMIN)} WITH ADMIN OPTION, INHERIT FALSE`),
  ];
  await asSuperuser(lab.postgres, 'postgres', async (client) => {
    await client.query(statements.join(';'));
    await client.query(`CREATE DATABASE ${DATABASE} OWNER ${GROUP_ROLE}`);
  });
}

function databaseSecret(lab: Lab, secret: string): string {
  const { host, port } = lab.postgres;
  const username = loginOf(secret);
  // `ssl` is AWS's own field: without it the sample's code would try each login twice, with TLS first.
  return JSON.stringify({
    engine: 'postgres',
    host,
    port,
    dbname: DATABASE,
    username,
    password: FIRST_PASSWORD,
    ssl: false,
  });
}

function declarations(): Record<string, object> {
  const singleUserSecrets = SINGLE_USERS.map((secret) => [secret, { type: 'database', strategy: 'single-user' }]);
  return {
    ...(Object.fromEntries(singleUserSecrets) as Record<string, object>),
    [APP_SECRET]: { type: 'app-secret' },
    [ALTERNATING]: {
      type: 'database',
      strategy: 'alternating-users',
      groupRole: GROUP_ROLE,
      adminSecret: ADMIN,
    },
  };
}
