import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import type { Postgres } from './postgres';
import { projectFile } from './project';

const DATABASE = 'keyturn_audit';
const LOGIN = 'keyturn_audit';
const WORKERS_LOGIN = 'keyturn_audit_worker';

/** Two logins of the audit database, as values for KEYTURN_AUDIT_DATABASE_URL. */
export interface AuditDatabase {
  /** May append and read: a person's, for the CLI and for tests. */
  url: string;
  /** May append: a worker's, as docs/security.md has it. */
  workerUrl: string;
}

/** Makes the audit database as an administrator would: the schema of deploy/postgres/audit.sql, and its logins. */
export async function createAuditDatabase(postgres: Postgres): Promise<AuditDatabase> {
  const password = randomBytes(24).toString('base64url');
  await asSuperuser(postgres, 'postgres', (client) => client.query(`CREATE DATABASE ${escapeIdentifier(DATABASE)}`));
  const schema = await readFile(projectFile('deploy', 'postgres', 'audit.sql'), 'utf8');
  await asSuperuser(postgres, DATABASE, async (client) => {
    await client.query(schema);
    const create = (login: string, roles: string) =>
      client.query(`CREATE ROLE ${escapeIdentifier(login)} LOGIN PASSWORD ${escapeLiteral(password)} IN ROLE ${roles}`);
    await create(LOGIN, 'keyturn_audit_writer, keyturn_audit_reader');
    await create(WORKERS_LOGIN, 'keyturn_audit_writer');
  });
  const urlOf = (login: string) => `postgresql://${login}:${password}@${postgres.host}:${postgres.port}/${DATABASE}`;
  return { url: urlOf(LOGIN), workerUrl: urlOf(WORKERS_LOGIN) };
}

/** Runs `work` as the superuser in a database of that server. */
export async function asSuperuser(
  postgres: Postgres,
  database: string,
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const url = new URL(postgres.superuserUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  const client = new Client({ connectionString: url.href });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
