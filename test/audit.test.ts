import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import type { AuditEntry, AuditLog } from '../src/activities/audit/audit-log';
import { AuditLogError } from '../src/activities/audit/audit-log';
import { createPostgresAuditLog } from '../src/activities/audit/postgres-audit-log';
import { startPostgres } from './lab/postgres';
import type { Postgres } from './lab/postgres';

const AUDIT_SQL = join(__dirname, '..', 'deploy', 'postgres', 'audit.sql');
const WORKER_PASSWORD = 'worker-p@ss/word';

let postgres: Postgres;
let auditSql: string;
let databases = 0;
const toClose: (() => Promise<void>)[] = [];

beforeAll(async () => {
  auditSql = await readFile(AUDIT_SQL, 'utf8');
  postgres = await startPostgres(() => undefined);
  // Two databases set up at the same moment share the cluster's roles.
  const [first] = await Promise.all([createAuditDatabase(), createAuditDatabase()]);
  await asSuperuser(first, async (client) => {
    await client.query(`CREATE ROLE worker LOGIN PASSWORD '${WORKER_PASSWORD}' IN ROLE keyturn_audit_writer`);
    await client.query(`CREATE ROLE auditor LOGIN PASSWORD 'auditor-password' IN ROLE keyturn_audit_reader`);
  });
}, 120_000);

afterEach(async () => {
  await Promise.all(toClose.splice(0).map((close) => close()));
});

afterAll(async () => {
  await postgres?.stop();
});

async function createAuditDatabase(): Promise<string> {
  const name = `audit_${++databases}`;
  await asSuperuser('postgres', (client) => client.query(`CREATE DATABASE ${name} TEMPLATE template0`));
  await asSuperuser(name, (client) => client.query(auditSql));
  return name;
}

function urlOf(database: string, user?: string, password?: string): string {
  const url = new URL(postgres.superuserUrl);
  url.pathname = database;
  if (user !== undefined) url.username = user;
  if (password !== undefined) url.password = encodeURIComponent(password);
  return url.href;
}

async function asSuperuser<T>(database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: urlOf(database) });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function open(url: string): AuditLog {
  const log = createPostgresAuditLog(url);
  toClose.push(() => log.close());
  return log;
}

const asWorker = (database: string): AuditLog => open(urlOf(database, 'worker', WORKER_PASSWORD));
const asAuditor = (database: string): AuditLog => open(urlOf(database, 'auditor', 'auditor-password'));

function entry(over: Partial<AuditEntry> = {}): AuditEntry {
  return {
    who: 'ada',
    what: 'setPassword',
    outcome: 'succeeded',
    secretId: 'dev/database/app',
    workflow: { id: 'rotation/dev/database/app', runId: 'run-1', type: 'rotateDatabaseCredential' },
    activity: { type: 'setPassword', id: '4', attempt: 1, local: false, taskQueue: 'keyturn' },
    ...over,
  };
}

/** A database with ten records, and an auditor's view of it. */
async function tenRecords(): Promise<{ database: string; auditor: AuditLog }> {
  const database = await createAuditDatabase();
  const worker = asWorker(database);
  for (let n = 1; n <= 10; n++) await worker.append(entry({ reason: `number ${n}` }));
  return { database, auditor: asAuditor(database) };
}

/** What somebody with all rights over the database could do. */
function tamper(database: string, sql: string): Promise<unknown> {
  return asSuperuser(database, (client) =>
    client.query(`ALTER TABLE keyturn_audit.record DISABLE TRIGGER append_only;
      ALTER TABLE keyturn_audit.head DISABLE TRIGGER keep_head; ${sql}`),
  );
}

describe('audit.sql', () => {
  test('can be run again on a log that has records, and keeps them', async () => {
    const { database, auditor } = await tenRecords();
    await asSuperuser(database, (client) => client.query(auditSql));
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 10 });
  });

  test('can be run by several at once on a new database', async () => {
    const name = `audit_${++databases}`;
    await asSuperuser('postgres', (client) => client.query(`CREATE DATABASE ${name} TEMPLATE template0`));
    const runs = Array.from({ length: 4 }, () => asSuperuser(name, (client) => client.query(auditSql)));
    await expect(Promise.all(runs)).resolves.toHaveLength(4);
  });

  test.each([
    ['update', `UPDATE keyturn_audit.record SET entry = '{}'`],
    ['delete', 'DELETE FROM keyturn_audit.record'],
    ['truncate', 'TRUNCATE keyturn_audit.record'],
    ['insert directly', `INSERT INTO keyturn_audit.record VALUES (99, now(), '', '', '{}')`],
    ['read', 'SELECT * FROM keyturn_audit.record'],
    ['move the head', 'UPDATE keyturn_audit.head SET seq = 0'],
    ['replace the function', 'DROP FUNCTION keyturn_audit.append(json[])'],
  ])('does not let the writer role %s', async (_act, sql) => {
    const { database, auditor } = await tenRecords();
    const client = new Client({ connectionString: urlOf(database, 'worker', WORKER_PASSWORD) });
    await client.connect();
    await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' });
    await client.end();
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 10 });
  });

  test('does not let the reader role append', async () => {
    const { auditor } = await tenRecords();
    await expect(auditor.append(entry())).rejects.toThrow('permission denied for function append');
  });

  test.each([
    ['UPDATE', `UPDATE keyturn_audit.record SET entry = '{}'`],
    ['DELETE', 'DELETE FROM keyturn_audit.record'],
    ['TRUNCATE', 'TRUNCATE keyturn_audit.record'],
    ['UPDATE', `SET session_replication_role = replica; UPDATE keyturn_audit.record SET entry = '{}'`],
  ])('refuses %s even to the owner, and says why', async (operation, sql) => {
    const { database, auditor } = await tenRecords();
    await expect(asSuperuser(database, (client) => client.query(sql))).rejects.toThrow(
      `The audit log is append-only: ${operation} on keyturn_audit.record is refused.`,
    );
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 10 });
  });
});

describe('verify', () => {
  test('finds nothing wrong with an empty log', async () => {
    const auditor = asAuditor(await createAuditDatabase());
    const head = { seq: 0, hash: '0'.repeat(64) };
    await expect(auditor.verify()).resolves.toEqual({ ok: true, records: 0, head, problems: [] });
    await expect(auditor.verify({ expectedHead: `0:${head.hash}` })).resolves.toMatchObject({ ok: true });
  });

  test.each([
    ['a changed record', `UPDATE keyturn_audit.record SET entry = '{"who":"nobody"}' WHERE seq = 4`, 4, 'was changed'],
    [
      'a changed space',
      `UPDATE keyturn_audit.record SET entry = (entry::text || ' ')::json WHERE seq = 4`,
      4,
      'changed',
    ],
    ['a changed time', `UPDATE keyturn_audit.record SET at = at + interval '1 us' WHERE seq = 5`, 5, 'was changed'],
    ['a removed record', 'DELETE FROM keyturn_audit.record WHERE seq = 6', 6, 'is missing'],
    ['a removed first record', 'DELETE FROM keyturn_audit.record WHERE seq = 1', 1, 'is missing'],
    ['several removed records', 'DELETE FROM keyturn_audit.record WHERE seq BETWEEN 3 AND 5', 3, 'everything up to 5'],
    [
      'two records in another order',
      `UPDATE keyturn_audit.record SET seq = -1 WHERE seq = 7; UPDATE keyturn_audit.record SET seq = 7 WHERE seq = 8;
       UPDATE keyturn_audit.record SET seq = 8 WHERE seq = -1`,
      7,
      'does not follow record 6',
    ],
    ['a tail that was cut off', 'DELETE FROM keyturn_audit.record WHERE seq > 8', 9, 'the end was cut off'],
    ['a log emptied behind its head', 'DELETE FROM keyturn_audit.record', 1, 'everything up to 10'],
    ['a removed head', 'DELETE FROM keyturn_audit.head', 10, 'its head was removed'],
    [
      'a record whose hash was recomputed after a change',
      `UPDATE keyturn_audit.record SET entry = '{}' WHERE seq = 4;
       UPDATE keyturn_audit.record SET hash = sha256(previous_hash || convert_to(seq || E'\\n' ||
         to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\\n' || entry::text, 'UTF8')) WHERE seq = 4`,
      5,
      'does not follow record 4',
    ],
    [
      'a record put in before the first',
      `INSERT INTO keyturn_audit.record SELECT 0, at, previous_hash, hash, entry FROM keyturn_audit.record WHERE seq = 1`,
      0,
      'no record can be',
    ],
  ])('finds %s, with its seq', async (_title, sql, seq, what) => {
    const { database, auditor } = await tenRecords();
    await tamper(database, sql);
    const { ok, problems } = await auditor.verify();
    expect(ok).toBe(false);
    expect(problems[0]).toEqual({ seq, what: expect.stringContaining(what) as string });
  });

  test('finds a chain that was written anew, by a head that was noted before', async () => {
    const { database, auditor } = await tenRecords();
    const { head } = await auditor.verify();
    const expectedHead = `${head?.seq}:${head?.hash}`;
    await asWorker(database).append(entry());
    await expect(auditor.verify({ expectedHead })).resolves.toMatchObject({ ok: true, records: 11 });

    await tamper(
      database,
      `CREATE TEMP TABLE old AS SELECT * FROM keyturn_audit.record; DELETE FROM keyturn_audit.record;
       UPDATE keyturn_audit.head SET seq = 0, hash = decode(repeat('00', 32), 'hex');
       SELECT keyturn_audit.append(array_agg(entry)) FROM old WHERE seq <> 3`,
    );
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 10 });
    const { ok, problems } = await auditor.verify({ expectedHead });
    expect(ok).toBe(false);
    expect(problems).toEqual([{ seq: 10, what: expect.stringContaining('written anew') as string }]);
    await expect(auditor.verify({ expectedHead: '4711:beef' })).rejects.toThrow('it is written as seq:hash');
  });
});

describe('append', () => {
  test('keeps one unbroken chain when 50 entries come at once from several workers', async () => {
    const database = await createAuditDatabase();
    const workers = [asWorker(database), asWorker(database)];
    await Promise.all(
      workers.flatMap((worker, w) =>
        Array.from({ length: 25 }, (_, n) => worker.append(entry({ reason: `${w}/${n}` }))),
      ),
    );
    const auditor = asAuditor(database);
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 50 });
    const reasons = (await auditor.list()).map((record) => record.entry.reason);
    expect(new Set(reasons).size).toBe(50);
  });

  test('works again after the database was killed and restarted, and nothing that it confirmed is lost', async () => {
    const database = await createAuditDatabase();
    const worker = asWorker(database);
    for (let n = 0; n < 20; n++) await worker.append(entry());
    await postgres.kill();
    await expect(worker.append(entry())).rejects.toThrow(AuditLogError);
    await postgres.restart();
    await worker.append(entry());
    await expect(asAuditor(database).verify()).resolves.toMatchObject({ ok: true, records: 21 });
  }, 30_000);

  test('keeps every character, and bounds what is too large', async () => {
    const database = await createAuditDatabase();
    const worker = asWorker(database);
    const reason = `'quoted' "twice" \\u0000 back\\slash {braces} Grüße 日本 \u{1F511}\n`;
    await worker.append(entry({ reason }));
    await worker.append(entry({ reason: 'NUL \0 and half a pair \ud83d', input: { text: 'é'.repeat(1_000_000) } }));
    await worker.append(entry({ result: Array.from({ length: 1000 }, () => 'x'.repeat(3_000)) }));
    const auditor = asAuditor(database);
    await expect(auditor.verify()).resolves.toMatchObject({ ok: true, records: 3 });
    const [exact, replaced, large] = await auditor.list({ secretId: 'dev/database/app' });
    expect(exact?.entry.reason).toBe(reason);
    expect(replaced?.entry.reason).toBe('NUL \uFFFD and half a pair \uFFFD');
    expect(JSON.stringify(replaced?.entry.input).length).toBeLessThan(5_000);
    expect(JSON.stringify(large?.entry).length).toBeLessThan(10_000);
  });

  test('fails without the password in its message when the database is not there or refuses', async () => {
    const database = await createAuditDatabase();
    const attempts = [
      urlOf(database, 'worker', 'wr0ng-p@ss/word'),
      urlOf('no_such_database', 'worker', WORKER_PASSWORD),
      urlOf(database, 'worker', WORKER_PASSWORD).replace(String(postgres.port), '1'),
    ];
    for (const url of attempts) {
      const error: unknown = await open(url)
        .append(entry())
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AuditLogError);
      const { message, stack, cause } = error as Error;
      expect(message).toContain(`the audit database 127.0.0.1:`);
      expect(cause).toBeUndefined();
      for (const secret of ['ss/word', encodeURIComponent(WORKER_PASSWORD)])
        expect(message + stack).not.toContain(secret);
    }
    for (const malformed of ['postgres://worker:hush%ZZ@h/db', 'worker:hush', 'https://worker:hush@h/db']) {
      expect(() => createPostgresAuditLog(malformed)).toThrow(AuditLogError);
      expect(() => createPostgresAuditLog(malformed)).not.toThrow(/hush/);
    }
  });
});

test('a worker may ask whether a rotation has found or made a value of a secret, and no more', async () => {
  const database = await createAuditDatabase();
  const log = createPostgresAuditLog(urlOf(database, 'worker', WORKER_PASSWORD));
  toClose.push(() => log.close());
  const ended = (secretId: string, input: unknown, what = 'recordOutcome') =>
    log.append(entry({ secretId, what, input }));
  await ended('dev/made', { versions: { current: 'v-1' } });
  await ended('dev/found', { versions: { previous: 'v-1' } });
  await ended('dev/refused', { versions: {} });
  await ended('dev/refused', undefined);
  await ended('dev/refused', { versions: { current: 'v-1' } }, 'loadPlan');
  const asked = ['dev/made', 'dev/found', 'dev/refused', 'dev/unknown'];
  expect(await Promise.all(asked.map((secretId) => log.hasExisted(secretId)))).toEqual([true, true, false, false]);
  await expect(log.list({ secretId: 'dev/made' })).rejects.toMatchObject({ sqlState: '42501', isNotSetUp: true });
});

describe('list', () => {
  test('filters by secret, environment, workflow, person and time, newest last', async () => {
    const database = await createAuditDatabase();
    const worker = asWorker(database);
    await worker.append(entry({ reason: 'first' }));
    await worker.append(entry({ reason: 'second', secretId: 'development/token', who: 'grace' }));
    const since = new Date(Date.now() + 5);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await worker.append(entry({ reason: 'third', workflow: { id: 'rotation/dev/token', runId: 'run-2' } }));

    const auditor = asAuditor(database);
    const reasons = async (filter: Parameters<AuditLog['list']>[0]): Promise<(string | undefined)[]> =>
      (await auditor.list(filter)).map((record) => record.entry.reason);
    await expect(reasons({})).resolves.toEqual(['first', 'second', 'third']);
    await expect(reasons({ limit: 2 })).resolves.toEqual(['second', 'third']);
    await expect(reasons({ secretId: 'dev/database/app' })).resolves.toEqual(['first', 'third']);
    await expect(reasons({ environment: 'dev' })).resolves.toEqual(['first', 'third']);
    await expect(reasons({ who: 'grace' })).resolves.toEqual(['second']);
    await expect(reasons({ workflowId: 'rotation/dev/token' })).resolves.toEqual(['third']);
    await expect(reasons({ since })).resolves.toEqual(['third']);
    await expect(reasons({ since, who: 'grace' })).resolves.toEqual([]);
  });
});
