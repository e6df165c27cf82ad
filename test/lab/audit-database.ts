import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import type { Postgres } from './postgres';
import { projectFile } from './project';

const DATABASE = 'keyturn_audit';
const LOGIN = 'keyturn_audit';

/**
 * Makes the audit database as an administrator would: the schema of deploy/postgres/audit.sql, and a login that may append and read.
 *
 * @returns the value for KEYTURN_AUDIT_DATABASE_URL
 */
export async function createAuditDatabase(postgres: Postgres): Promise<string> {
  const password = randomBytes(24).toString('base64url');
  await asSuperuser(postgres, 'postgres', (client) => client.query(`CREATE DATABASE ${escapeIdentifier(DATABASE)}`));
  const schema = await readFile(projectFile('deploy', 'postgres', 'audit.sql'), 'utf8');
  await asSuperuser(postgres, DATABASE, async (client) => {
    await client.query(schema);
    await client.query(
      `CREATE ROLE ${escapeIdentifier(LOGIN)} LOGIN PASSWORD ${escapeLiteral(password)} ` +
        'IN ROLE keyturn_audit_writer, keyturn_audit_reader',
    );
  });
  return `postgresql://${LOGIN}:${password}@${postgres.host}:${postgres.port}/${DATABASE}`;
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
