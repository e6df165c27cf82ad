import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier, escapeLiteral, Pool } from 'pg';
import { inLanes } from '../../src/rotation/in-lanes';
import type { SecretType } from '../../src/rotation/names';
import { opensDatabase } from '../lab/postgres-login';
import type { StoredLogin } from '../lab/postgres-login';
import type { Secrets } from './secrets';

export interface TestDatabase {
  /** The secret's name below the environment. */
  secret: string;
  username: string;
  /** A role that owns the database; with alternating users, the group role. */
  owner: string;
}

export interface DatabaseOptions {
  username?: string;
  /** The database's name; made from the secret's when absent. */
  dbname?: string;
  /** The group role's name; made from the secret's when absent. */
  groupRole?: string;
  /** The login's first password; drawn when absent. */
  password?: string;
  /** Merged into the secret's JSON. */
  fields?: Record<string, unknown>;
  /** Merged into the catalog's declaration. */
  declaration?: Record<string, unknown>;
}

type Declare = (secrets: Record<string, { type: SecretType } & Record<string, unknown>>) => Promise<void>;

/** Real databases, logins and their secrets on one PostgreSQL server, and what a test wants to know of them. */
export function createDatabases(secrets: Secrets, declare: Declare, environment: string, superuserUrl: string) {
  const { hostname: host, port } = new URL(superuserUrl);
  const created: { databases: string[]; roles: string[] } = { databases: [], roles: [] };
  const passwords: string[] = [];
  let named = 0;

  const superuser = new Pool({ connectionString: superuserUrl, max: 4 });
  superuser.on('error', () => undefined);

  async function asSuperuser<T extends object>(statement: string, database?: string): Promise<T[]> {
    if (database === undefined) return (await superuser.query<T>(statement)).rows;
    const url = new URL(superuserUrl);
    url.pathname = `/${encodeURIComponent(database)}`;
    const client = new Client({ connectionString: url.href });
    await client.connect();
    try {
      return (await client.query<T>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  const newPassword = (password = randomBytes(18).toString('base64url')) => {
    passwords.push(password);
    return password;
  };

  async function createRole(name: string, attributes: string): Promise<void> {
    await asSuperuser(`CREATE ROLE ${escapeIdentifier(name)} ${attributes}`);
    created.roles.push(name);
  }

  async function createDatabase(name: string, owner: string): Promise<void> {
    await asSuperuser(`CREATE DATABASE ${escapeIdentifier(name)} OWNER ${escapeIdentifier(owner)}`);
    created.databases.push(name);
  }

  const storeLogin = (secret: string, dbname: string, username: string, password: string, fields = {}) =>
    secrets.create(
      secret,
      JSON.stringify({
        engine: 'postgres',
        host,
        port: Number(port),
        dbname,
        username,
        password,
        sslmode: 'disable',
        ...fields,
      }),
    );

  /** Short enough for PostgreSQL with `_clone` or `_owner` behind it. */
  const uniqueName = (secret: string) => `${environment}_${++named}_${secret.replaceAll('/', '_')}`.slice(0, 48);

  return {
    host,
    port: Number(port),
    asSuperuser,
    /** A role that belongs to no secret; it is dropped with the others. */
    createRole,
    passwords: () => passwords,

    async singleUser(secret: string, options: DatabaseOptions = {}): Promise<TestDatabase> {
      const name = uniqueName(secret);
      const username = options.username ?? name;
      const dbname = options.dbname ?? name;
      const password = newPassword(options.password);
      await createRole(username, `LOGIN PASSWORD ${escapeLiteral(password)}`);
      await createDatabase(dbname, username);
      await storeLogin(secret, dbname, username, password, options.fields);
      await declare({
        [secret]: { type: 'database', strategy: 'single-user', sslmode: 'disable', ...options.declaration },
      });
      return { secret, username, owner: username };
    },

    /** With a group role, a first login, and an administrator in the secret `{secret}-admin`. */
    async alternatingUsers(secret: string, options: DatabaseOptions = {}): Promise<TestDatabase> {
      const name = uniqueName(secret);
      const [owner, admin] = [options.groupRole ?? `${name}_owner`, `${name}_admin`];
      const username = options.username ?? name;
      const dbname = options.dbname ?? name;
      const [password, adminPassword] = [newPassword(options.password), newPassword()];
      await createRole(owner, 'NOLOGIN');
      await createRole(username, `LOGIN PASSWORD ${escapeLiteral(password)} IN ROLE ${escapeIdentifier(owner)}`);
      await createRole(admin, `LOGIN CREATEROLE PASSWORD ${escapeLiteral(adminPassword)}`);
      for (const role of [owner, username]) {
        await asSuperuser(
          `GRANT ${escapeIdentifier(role)} TO ${escapeIdentifier(admin)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
        );
      }
      created.roles.push(`${username}_clone`);
      await createDatabase(dbname, owner);
      await storeLogin(secret, dbname, username, password, options.fields);
      await storeLogin(`${secret}-admin`, dbname, admin, adminPassword, options.fields);
      await declare({
        [secret]: {
          type: 'database',
          strategy: 'alternating-users',
          sslmode: 'disable',
          groupRole: owner,
          adminSecret: `${secret}-admin`,
          ...options.declaration,
        },
      });
      return { secret, username, owner };
    },

    /** Whether a stored version logs in: the proof that does not go through Keyturn. */
    async opens(secret: string, version: string | { versionId: string } = 'AWSCURRENT'): Promise<boolean> {
      const text =
        typeof version === 'string'
          ? await secrets.value(secret, version)
          : await secrets.valueOfVersion(secret, version.versionId);
      const { dbname, username, password } = JSON.parse(text) as Pick<StoredLogin, 'dbname' | 'username' | 'password'>;
      return opensDatabase({ host, port: Number(port), dbname, username, password });
    },

    async drop(): Promise<void> {
      await inLanes(created.databases, 4, async (database) => {
        await asSuperuser(`DROP DATABASE IF EXISTS ${escapeIdentifier(database)} WITH (FORCE)`);
      });
      if (created.roles.length > 0) {
        await asSuperuser(`DROP ROLE IF EXISTS ${created.roles.map(escapeIdentifier).join(', ')}`);
      }
      await superuser.end();
    },
  };
}

export type Databases = ReturnType<typeof createDatabases>;
