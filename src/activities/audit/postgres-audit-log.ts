import { DatabaseError, Pool } from 'pg';
import type { PoolClient } from 'pg';
import type { AuditEntry, AuditFilter, AuditLog, AuditRecord, ChainHead } from './audit-log';
import { AuditLogError } from './audit-log';
import { parseChainHead, verifyChain } from './chain';
import type { StoredRecord } from './chain';
import { entryText } from './entry-text';
import { createGroupCommit } from './group-commit';
import { createPastOfSecrets } from './past-of-secrets';
import type { PastOfSecrets } from './past-of-secrets';
import { createReviewLog } from './review-log';
import type { ReviewLog } from './review-log';

const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 5_000;
/** Ends a query whose connection went silent, where the server's own timeout does not reach us. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 1_000;
const GROUP_LIMITS = { items: 200, characters: 1_000_000 };
const LISTED_BY_DEFAULT = 100;
const VERIFY_PAGE = 1_000;

/** The columns of a StoredRecord; `at` as the hash has it. */
const COLUMNS = `seq, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
  encode(previous_hash, 'hex') AS "previousHash", encode(hash, 'hex') AS hash, entry::text AS entry`;

/**
 * The audit log in PostgreSQL, as deploy/postgres/audit.sql sets it up. It connects when it is first used, and again by
 * itself after an outage. `append` needs a member of `keyturn_audit_writer`, `list` and `verify` of `keyturn_audit_reader`, and what
 * reviews and restores ask for one of either.
 *
 * @param url `postgres://user:password@host:port/database`.
 */
export function createPostgresAuditLog(url: string): AuditLog & ReviewLog & PastOfSecrets {
  const { place, passwords } = describeUrl(url);
  const pool = new Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    application_name: 'keyturn-audit',
    keepAlive: true,
  });
  // A connection lost while idle is no event: the pool has dropped it, and the next append opens another.
  pool.on('error', () => undefined);

  async function named<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof AuditLogError) throw error;
      let told = reasonOf(error);
      for (const password of passwords) told = told.replaceAll(password, '[redacted]');
      throw new AuditLogError(`the audit database ${place} answered: ${told}`, sqlStateOf(error));
    }
  }

  const appends = createGroupCommit(async (entries) => {
    await pool.query('SELECT keyturn_audit.append($1::json[])', [entries]);
  }, GROUP_LIMITS);

  const rowsOf = (sql: string, values: unknown[]) => named(async () => (await pool.query(sql, values)).rows);

  return {
    append: (entry) => named(() => appends.add(entryText(entry))),
    list: (filter = {}) => named(() => listRecords(pool, filter)),
    verify: ({ expectedHead } = {}) =>
      named(async () => {
        const expected = expectedHead === undefined ? undefined : parseChainHead(expectedHead);
        return await inSnapshot(pool, async (client) => {
          return await verifyChain(allRecords(client), await readHead(client), expected);
        });
      }),
    ...createReviewLog(rowsOf),
    ...createPastOfSecrets(rowsOf),
    async close() {
      await appends.settled();
      await pool.end();
    },
  };
}

async function listRecords(pool: Pool, filter: AuditFilter): Promise<AuditRecord[]> {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const where = (value: unknown, condition: (parameter: string) => string): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  where(filter.secretId, (p) => `entry ->> 'secretId' = ${p}`);
  where(filter.environment, (p) => `starts_with(entry ->> 'secretId', ${p} || '/')`);
  where(filter.workflowId, (p) => `entry -> 'workflow' ->> 'id' = ${p}`);
  where(filter.who, (p) => `entry ->> 'who' = ${p}`);
  where(filter.what, (p) => `entry ->> 'what' = ${p}`);
  where(filter.since, (p) => `at >= ${p}`);
  values.push(filter.limit ?? LISTED_BY_DEFAULT);
  const { rows } = await pool.query<StoredRow>(
    `SELECT ${COLUMNS} FROM keyturn_audit.record
     ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''} ORDER BY seq DESC LIMIT $${values.length}`,
    values,
  );
  return rows
    .map(storedRecord)
    .reverse()
    .map(({ seq, at, hash, entry }) => ({ seq, at, hash, entry: JSON.parse(entry) as AuditEntry }));
}

/** Records that are appended meanwhile would else be taken for records past the head. */
async function inSnapshot<T>(pool: Pool, read: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failed: boolean | undefined;
  try {
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const result = await read(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    client.release(failed);
  }
}

async function readHead(client: PoolClient): Promise<ChainHead | undefined> {
  const { rows } = await client.query<{ seq: string; hash: string }>(
    `SELECT seq, encode(hash, 'hex') AS hash FROM keyturn_audit.head`,
  );
  return rows[0] && { seq: Number(rows[0].seq), hash: rows[0].hash };
}

async function* allRecords(client: PoolClient): AsyncGenerator<StoredRecord> {
  let after: string | undefined;
  for (;;) {
    const { rows } = await client.query<StoredRow>(
      `SELECT ${COLUMNS} FROM keyturn_audit.record WHERE $1::bigint IS NULL OR seq > $1 ORDER BY seq LIMIT ${VERIFY_PAGE}`,
      [after],
    );
    yield* rows.map(storedRecord);
    if (rows.length < VERIFY_PAGE) return;
    after = rows.at(-1)?.seq;
  }
}

/** node-postgres hands out a bigint as text. */
type StoredRow = Omit<StoredRecord, 'seq'> & { seq: string };

function storedRecord(row: StoredRow): StoredRecord {
  return { ...row, seq: Number(row.seq) };
}

/** Where the database is, for messages, and what must never be in one. Throws {@link AuditLogError}. */
function describeUrl(url: string): { place: string; passwords: string[] } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const password = parsed && percentDecoded(parsed.password);
  if (!parsed || password === undefined || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new AuditLogError(
      'The URL of the audit database is not one: it is written as postgres://user:password@host:port/database, with ' +
        'special characters of the password percent-encoded.',
    );
  }
  const passwords = [parsed.password, password, parsed.searchParams.get('password') ?? ''].filter(Boolean);
  return { place: `${parsed.host}${parsed.pathname}`, passwords };
}

function sqlStateOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  // Node reports a connection refused on several addresses with an empty message of its own.
  if (error instanceof AggregateError && !error.message) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : 'an error without a message';
}
