import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Testbed } from './testbed';

/** What an application has done so far. */
export interface Work {
  connections: number;
  queries: number;
  /** Rows that the database has confirmed. */
  inserted: number;
  /** Why connections and queries failed; each counts, none is tried again. */
  failures: string[];
  /** The logins it has worked under. */
  usernames: Set<string>;
}

export interface Application {
  work: Work;
  stop(): Promise<void>;
}

interface Login {
  database: string;
  user: string;
  password: string;
}

const POOL_SIZE = 10;
/** A connection is replaced after so many queries, so that new ones are opened all the time. */
const QUERIES_PER_CONNECTION = 20;
/** How long it trusts what it has read from Secrets Manager; below the shortest grace period. */
const READ_AGAIN_AFTER_MS = 250;
const PAUSE_BETWEEN_QUERIES_MS = 4;

/**
 * An application that reads its login from Secrets Manager, keeps it for a while as AWS's caching clients do, and works with a pool of
 * ten connections. It never tries anything again: whatever is refused counts as a failure.
 *
 * @param table where it inserts a row with every other query.
 */
export async function startApplication(bed: Testbed, secret: string, table: string): Promise<Application> {
  const { host, port } = bed.databases;
  const work: Work = { connections: 0, queries: 0, inserted: 0, failures: [], usernames: new Set() };
  const stopping = new AbortController();
  let login = await readLogin();

  async function readLogin(): Promise<Login> {
    const { dbname, username, password } = JSON.parse(await bed.secrets.value(secret)) as Record<string, string>;
    return { database: dbname ?? '', user: username ?? '', password: password ?? '' };
  }

  async function keepLogin(): Promise<void> {
    while (!stopping.signal.aborted) {
      await delay(READ_AGAIN_AFTER_MS);
      login = await readLogin();
    }
  }

  async function useOneConnection(): Promise<void> {
    const client = new Client({ host, port, ...login, application_name: 'application' });
    client.on('error', () => undefined);
    try {
      work.usernames.add(login.user);
      await client.connect();
      work.connections += 1;
      for (let n = 0; n < QUERIES_PER_CONNECTION; n += 1) {
        await client.query(n % 2 === 0 ? `SELECT id FROM ${table} LIMIT 1` : `INSERT INTO ${table} DEFAULT VALUES`);
        work.queries += 1;
        if (n % 2 === 1) work.inserted += 1;
        await delay(PAUSE_BETWEEN_QUERIES_MS);
      }
    } catch (error) {
      work.failures.push(error instanceof Error ? error.message : String(error));
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async function keepConnected(): Promise<void> {
    while (!stopping.signal.aborted) await useOneConnection();
  }

  const working = Promise.all([keepLogin(), ...Array.from({ length: POOL_SIZE }, keepConnected)]);
  working.catch(() => undefined);
  return {
    work,
    async stop() {
      stopping.abort();
      await working;
    },
  };
}
