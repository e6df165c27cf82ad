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
import { ENVIRONMENT } from './subjects';

/** Three of ten secrets are logins; they are spread among the others. */
const DATABASES_OF_TEN = 3;

const DATABASE = 'bench_fleet';
/** What all logins share, because its verifier is costly to compute and says nothing about the figures. */
const FIRST_PASSWORD = randomBytes(24).toString('base64url');

export const isDatabase = (n: number): boolean => n % 10 < DATABASES_OF_TEN;
export const fleetSecret = (n: number): string => `${isDatabase(n) ? 'database' : 'app'}/${n}`;

/** An environment for each fleet: what was rotated minutes ago is left alone. */
export const fleetEnvironment = (name: string): string => `${ENVIRONMENT}-${name}`;

export async function createFleetDatabase(lab: Lab): Promise<void> {
  await asSuperuser(lab.postgres, 'postgres', (client) => client.query(`CREATE DATABASE ${DATABASE}`));
}

/** Makes the secrets of an environment, and their logins. */
export async function createFleetSecrets(
  lab: Lab,
  secretsManager: SecretsManagerClient,
  environment: string,
  count: number,
): Promise<void> {
  const all = Array.from({ length: count }, (_, n) => n);
  const verifier = escapeLiteral(await scramVerifier(FIRST_PASSWORD, '', ''));
  const roles = all
    .filter(isDatabase)
    .map((n) => `CREATE ROLE ${escapeIdentifier(loginOf(environment, n))} LOGIN PASSWORD ${verifier}`);
  await asSuperuser(lab.postgres, 'postgres', (client) => client.query(roles.join(';')));
  await inLanes(all, 4, async (n) => {
    const Name = secretIdOf(environment, fleetSecret(n));
    await secretsManager.send(new CreateSecretCommand({ Name, SecretString: textOf(lab, environment, n) }));
  });
}

/** Declares so many secrets of an environment, and nothing else. */
export async function declareFleet(catalog: string, environment: string, count: number): Promise<void> {
  const secrets = Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      fleetSecret(n),
      isDatabase(n) ? { type: 'database', strategy: 'single-user' } : { type: 'app-secret' },
    ]),
  );
  await writeFile(catalog, stringify({ environments: { [environment]: { secrets } } }));
}

const loginOf = (environment: string, n: number) => `${environment}-${n}`;

function textOf({ postgres: { host, port } }: Lab, environment: string, n: number): string {
  if (!isDatabase(n)) return JSON.stringify({ password: FIRST_PASSWORD });
  const username = loginOf(environment, n);
  const login = { engine: 'postgres', host, port, dbname: DATABASE, username, password: FIRST_PASSWORD };
  // AWS's own field: without it the sample's code would try each login twice, with TLS first.
  return JSON.stringify({ ...login, ssl: false });
}
