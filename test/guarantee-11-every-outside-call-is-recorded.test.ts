import { createPostgresAuditLog } from '../src/activities/audit/postgres-audit-log';
import type { AuditLog, AuditRecord } from '../src/activities/audit/audit-log';
import type { OutsideCall } from '../src/activities/boundary/activity-scope';
import { awsRequests } from './testbed/aws-wire';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { seenSessions } from './testbed/postgres-statements';
import { createSubject, KINDS, LEAVES_MOST_AFTER } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

/** What each recorded operation on PostgreSQL is on the wire. */
const STATEMENTS: Record<string, RegExp> = {
  'act as itself': /^SET ROLE NONE$/,
  'alter the password of the role': /^ALTER ROLE \S+ PASSWORD /,
  'lock the role and alter its password': /^ALTER ROLE \S+ NOLOGIN PASSWORD /,
  'create the second login': /^CREATE ROLE /,
  'unlock the login and set its password': /^ALTER ROLE \S+ LOGIN PASSWORD /,
  'look up the group role': /^SELECT 1 FROM pg_roles/,
  'look up the login': /^SELECT pg_has_role/,
  "read the other login's connection limit": /^SELECT rolconnlimit/,
  'set the connection limit': /^ALTER ROLE \S+ CONNECTION LIMIT /,
  "read the other login's settings": /^SELECT .* FROM pg_db_role_setting/s,
  'take over a setting': /^ALTER ROLE \S+ (IN DATABASE \S+ )?SET /,
  'start its sessions as the group role': /^ALTER ROLE \S+ SET role /,
  'lock the login': /^ALTER ROLE \S+ NOLOGIN$/,
  "count the login's sessions": /^SELECT count/,
  "end the login's sessions": /pg_terminate_backend/,
  'limit how long its statements may take': /^SET statement_timeout|set_config/,
};

/** What each recorded call to the service of an API key is on the wire. */
const KEY_REQUESTS: Record<string, string> = {
  'POST create': 'POST /keys',
  'GET list': 'GET /keys',
  'GET verify': 'GET /whoami',
  'POST deactivate': 'POST /keys/:id/deactivate',
  'DELETE delete': 'DELETE /keys/:id',
};

/** What one rotation did, as recorded and as seen on the wire. */
interface Told {
  runId: string;
  workflowType: string;
  startedAt: number;
  endedAt: number;
  candidate?: string;
  records: AuditRecord[];
  seen: {
    aws: string[];
    sessions: ReturnType<typeof seenSessions>;
    healthChecks: number;
    keyRequests: Record<string, number>;
  };
}

const ROTATIONS = [
  'a rotation',
  'the next one',
  'a dry run',
  'a rollback',
  'a rotation that is undone',
  'one after a terminated one',
] as const;

/** The key to go back to is gone after a rotation. */
const rotationsOf = (kind: Kind) => ROTATIONS.filter((name) => kind !== 'api-key' || name !== 'a rollback');

let bed: Testbed;
let awsTap: WireTap;
let postgresTap: WireTap;
let audit: AuditLog;
let dependent: TestDependent;
const told = new Map<string, Told>();

beforeAll(async () => {
  bed = await openTestbed();
  audit = createPostgresAuditLog(bed.env['KEYTURN_AUDIT_DATABASE_URL'] ?? '');
  awsTap = await startWireTap(Number(new URL(bed.env['AWS_ENDPOINT_URL'] ?? '').port));
  postgresTap = await startWireTap(bed.databases.port);
  dependent = await startDependent('shop', '1 second');
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${awsTap.port}` });
  // One after another, so that every call on the wire belongs to one rotation.
  for (const kind of KINDS) await rotateInEveryWay(kind);
}, 240_000);
afterAll(async () => {
  try {
    await bed.close();
  } finally {
    await Promise.all([audit.close(), awsTap.stop(), postgresTap.stop(), dependent.stop()]);
  }
});

async function rotateInEveryWay(kind: Kind): Promise<void> {
  const declaration = {
    dependents: [dependent.declaration],
    ...(kind === 'alternating-users' && { gracePeriod: '0 s' }),
  };
  const subject = await createSubject(bed, kind, kind, declaration, { port: postgresTap.port });
  const keep = async (name: (typeof ROTATIONS)[number], input?: object, type?: string) =>
    void told.set(`${kind}: ${name}`, await tellOf(subject, input, type));
  await keep('a rotation');
  await keep('the next one');
  await keep('a dry run', { dryRun: true });
  if (rotationsOf(kind).includes('a rollback')) await keep('a rollback', {}, 'rollbackSecret');
  const { current } = await bed.secrets.labels(subject.secret);
  dependent.answer(async () => ((await bed.secrets.labels(subject.secret)).current === current ? 200 : 503));
  await keep('a rotation that is undone');
  dependent.answer(200);
  await terminateOne(subject);
  await keep('one after a terminated one');
}

async function terminateOne({ kind, secret }: Subject): Promise<void> {
  const point = { secretId: bed.secrets.idOf(secret), step: LEAVES_MOST_AFTER[kind], when: 'after' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  await handle.terminate();
  await bed.pauses.goOn(point);
}

/** How often the subject's service was asked for what. */
const keyRequests = ({ service }: Subject): Record<string, number> =>
  Object.fromEntries(Object.values(KEY_REQUESTS).map((route) => [route, service?.requests(route) ?? 0]));

async function tellOf(subject: Subject, input: object = {}, type?: string): Promise<Told> {
  const { secret } = subject;
  const before = {
    aws: awsRequests(awsTap.connections).length,
    sessions: postgresTap.connections.length,
    asked: dependent.asked,
    keyRequests: keyRequests(subject),
  };
  const startedAt = Date.now();
  const handle = await bed.start(secret, { requestedBy: 'ada', reason: 'quarterly', ...input }, type);
  const result = (await handle.result().catch(() => undefined)) as { versions: { current?: string } } | undefined;
  const runId = handle.firstExecutionRunId;
  const records = await audit.list({ workflowId: handle.workflowId, limit: 1_000 });
  return {
    runId,
    workflowType: (await handle.describe()).type,
    startedAt,
    endedAt: Date.now(),
    candidate: type === 'rollbackSecret' ? result?.versions.current : runId,
    records: records.filter(({ entry }) => entry.workflow?.runId === runId),
    seen: {
      aws: awsRequests(awsTap.connections)
        .slice(before.aws)
        .filter(({ attempt }) => attempt === 1)
        .map(({ operation }) => operation),
      sessions: seenSessions(postgresTap.connections.slice(before.sessions)),
      healthChecks: dependent.asked - before.asked,
      keyRequests: Object.fromEntries(
        Object.entries(keyRequests(subject)).map(([route, times]) => [route, times - (before.keyRequests[route] ?? 0)]),
      ),
    },
  };
}

/** The recorded calls to a system, in the order in which they were made. */
function recordedCalls({ records }: Told, system: string): OutsideCall[] {
  return records
    .flatMap(({ entry }) => entry.outsideCalls ?? [])
    .filter((call) => call.system === system)
    .sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

describe.each(KINDS.flatMap((kind) => rotationsOf(kind).map((name) => `${kind}: ${name}`)))('%s', (name) => {
  const the = () => told.get(name) as Told;

  test('has a record of every call that Secrets Manager, PostgreSQL, the service of a key and the dependents saw, and of no other', () => {
    const { seen } = the();
    expect(recordedCalls(the(), 'secretsmanager').map(({ operation }) => operation)).toEqual(seen.aws);
    expect(seen.aws.length).toBeGreaterThan(0);
    const http = recordedCalls(the(), 'http').map(({ operation }) => KEY_REQUESTS[operation] ?? 'a health check');
    const times = (what: string) => http.filter((one) => one === what).length;
    expect(times('a health check')).toBe(seen.healthChecks);
    for (const [route, seenTimes] of Object.entries(seen.keyRequests)) {
      expect([route, times(route)]).toEqual([route, seenTimes]);
    }

    const recorded = recordedCalls(the(), 'postgresql');
    const onTheWire = seen.sessions.flatMap(({ login, statements }) => [
      { login },
      ...statements.map((statement) => ({ statement })),
    ]);
    expect(recorded).toHaveLength(onTheWire.length);
    for (const [n, { operation, outcome }] of recorded.entries()) {
      const saw = onTheWire[n] as { login?: string; statement?: string };
      if (operation === 'login') expect(saw).toEqual({ login: outcome === 'ok' ? 'opened' : 'refused' });
      else expect(saw.statement).toMatch(STATEMENTS[operation] ?? `no statement is known for ${operation}`);
    }
  });

  test('says of each step who, what, when, with which version, and how it ended', () => {
    const { records, runId, workflowType, startedAt, endedAt, candidate } = the();
    for (const { at, entry } of records) {
      expect(entry).toMatchObject({ who: 'ada', reason: 'quarterly', workflow: { runId, type: workflowType } });
      expect(entry.secretId).toBe(bed.secrets.idOf(name.split(':')[0] ?? ''));
      expect([Date.parse(at) >= startedAt - 1_000, Date.parse(at) <= endedAt + 1_000]).toEqual([true, true]);
      expect(entry.what).toBe(entry.activity.type);
      expect(entry.step).toMatch(/\w/);
    }
    expect(records.map(({ seq }) => seq)).toEqual(records.map(({ seq }) => seq).sort((a, b) => a - b));

    for (const { entry } of records.filter((record) => record.entry.outcome === 'started')) {
      const end = records.filter(
        (record) =>
          record.entry.activity.id === entry.activity.id &&
          record.entry.activity.attempt === entry.activity.attempt &&
          record.entry.outcome !== 'started',
      );
      expect(end).toHaveLength(1);
      expect(end[0]?.entry).toMatchObject({ what: entry.what, durationMs: expect.any(Number) as number });
      expect(end[0]?.entry.versionId).toBe(entry.versionId);
    }
    const versions = new Map(records.map(({ entry }) => [entry.step, entry.versionId]));
    for (const step of [
      'createCandidate',
      'setPassword',
      'prepareLogin',
      'loginWithCandidate',
      'promote',
      'verifyAsApplication',
      'deliver',
      'createKey',
      'verifyKey',
      'storeSecondary',
      'stageCandidate',
      'verifyInUse',
      'waitForQuiet',
      'deactivateKey',
      'deleteKey',
      'proveOldKeyRefused',
    ]) {
      if (versions.has(step) && !name.includes('undone')) expect([step, versions.get(step)]).toEqual([step, candidate]);
    }
  });

  test('ends with a record of how it ended', () => {
    const outcomes = { 'a dry run': 'dry-run', 'a rotation that is undone': 'rolled-back' } as Record<string, string>;
    const last = the().records.at(-1)?.entry;
    expect(last).toMatchObject({
      what: 'recordOutcome',
      outcome: 'succeeded',
      input: { outcome: outcomes[name.split(': ')[1] ?? ''] ?? 'rotated' },
    });
  });
});

test('the chain of records is whole', async () => {
  expect(await audit.verify()).toMatchObject({ ok: true, problems: [] });
});
