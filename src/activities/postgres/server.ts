import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { bulkhead } from 'cockatiel';
import { Client } from 'pg';
import type { SslMode } from '../../rotation/plan';
import { outsideCall } from '../boundary/activity-scope';
import { circuitBreakerFor } from '../circuit-breaker';
import { connectFailure, loginRefusal, statementFailure } from './pg-errors';
import { normalisePassword } from './scram';

/** Everything that is needed to open a session. */
export interface PostgresLogin {
  host: string;
  port: number;
  dbname: string;
  username: string;
  password: string;
  sslMode: SslMode;
  /** A PEM file with the certificate authorities to trust; the system's own when absent. */
  sslRootCert?: string;
}

/** `refused`: wrong password, or no such role. `locked`: the role may not log in. */
export type ProbeResult = 'opened' | 'refused' | 'locked';

export interface PostgresSession {
  /** @param operation names the statement in the audit trail and in messages; the statement itself is never shown. */
  query<Row extends object>(operation: string, statement: string, parameters?: unknown[]): Promise<Row[]>;
}

/** PostgreSQL servers in the words of a rotation. */
export interface PostgresServers {
  /**
   * Tries a login and leaves again. Only the server's own refusal counts as one.
   * @throws TargetUnavailable, TlsRefused, PermissionDenied: these prove nothing about the password.
   */
  probe(login: PostgresLogin): Promise<ProbeResult>;
  /** Runs statements in one session. @returns the probe's result instead when the login is not let in. */
  session<T>(login: PostgresLogin, work: (session: PostgresSession) => Promise<T>): Promise<Entered<T>>;
}

export type Entered<T> = { entered: true; result: T } | { entered: false; probe: Exclude<ProbeResult, 'opened'> };

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * The server gives up on a statement before anybody takes its worker for dead: one whose connection was cut must not linger and take
 * effect after it has been undone.
 */
const STATEMENT_TIMEOUT_MS = 5_000;
const LOCK_TIMEOUT_MS = 4_000;

/** A hundred rotations at once must not use up the connections that a server's applications need. */
const CONNECTIONS_PER_SERVER = 10;
const WAITING_PER_SERVER = 10_000;

export function createPostgresServers(): PostgresServers {
  const servers = new Map<string, <T>(call: () => Promise<T>) => Promise<T>>();

  /** One breaker and one limit for everyone who uses a server. */
  function serverOf({ host, port }: PostgresLogin) {
    const address = `${host}:${port}`;
    let guarded = servers.get(address);
    if (!guarded) {
      const limit = bulkhead(CONNECTIONS_PER_SERVER, WAITING_PER_SERVER);
      const breaker = circuitBreakerFor(`PostgreSQL at ${address}`);
      guarded = (call) => limit.execute(() => breaker(call));
      servers.set(address, guarded);
    }
    return guarded;
  }

  async function enter<T>(login: PostgresLogin, work: (client: Client) => Promise<T>): Promise<Entered<T>> {
    const ssl = await tlsOptions(login);
    return serverOf(login)(async () => {
      const client = new Client({
        host: login.host,
        port: login.port,
        database: login.dbname,
        user: login.username,
        password: normalisePassword(login.password),
        ssl,
        application_name: 'keyturn',
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
      });
      // A connection that breaks between two statements reports here; the next statement then fails with the same news.
      client.on('error', () => undefined);
      const probe = await outsideCall(
        'postgresql',
        'login',
        async (): Promise<ProbeResult> => {
          try {
            await client.connect();
            return 'opened';
          } catch (error) {
            await client.end().catch(() => undefined);
            const refusal = loginRefusal(error);
            if (refusal) return refusal;
            throw connectFailure(error, login);
          }
        },
        (result) => (result === 'opened' ? 'ok' : result),
      );
      if (probe !== 'opened') return { entered: false, probe };
      try {
        return { entered: true, result: await work(client) };
      } finally {
        await client.end().catch(() => undefined);
      }
    });
  }

  return {
    async probe(login) {
      const entered = await enter(login, () => Promise.resolve());
      return entered.entered ? 'opened' : entered.probe;
    },

    async session(login, work) {
      return enter(login, async (client) => {
        const query = <Row extends object>(operation: string, statement: string, parameters?: unknown[]) =>
          outsideCall('postgresql', operation, async () => {
            try {
              return (await client.query<Row>(statement, parameters)).rows;
            } catch (error) {
              throw statementFailure(error, operation, login);
            }
          });
        // Not as parameters of the connection, which poolers such as PgBouncer refuse.
        await query(
          'limit how long its statements may take',
          `SET statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET lock_timeout = ${LOCK_TIMEOUT_MS}`,
        );
        return work({ query });
      });
    },
  };
}

/** libpq's four modes in Node's words (PostgreSQL manual, 'Protection Provided in Different Modes'). */
async function tlsOptions({ sslMode, sslRootCert }: PostgresLogin): Promise<ConnectionOptions | false> {
  if (sslMode === 'disable') return false;
  const ca = sslRootCert ? await readFile(sslRootCert, 'utf8') : undefined;
  switch (sslMode) {
    case 'require':
      return { rejectUnauthorized: false };
    case 'verify-ca':
      return { ca, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ca };
  }
}
