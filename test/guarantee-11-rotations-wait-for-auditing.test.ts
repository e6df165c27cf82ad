import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { createPostgresAuditLog } from '../src/activities/audit/postgres-audit-log';
import type { AuditEntry, AuditLog } from '../src/activities/audit/audit-log';
import type { RequestAccepted, RotationResult } from '../src/rotation/types';
import { asSuperuser, createAuditDatabase } from './lab/audit-database';
import { startPostgres } from './lab/postgres';
import type { Postgres } from './lab/postgres';
import { awsRequests } from './testbed/aws-wire';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { holdLogin } from './testbed/held-login';
import type { Point } from './testbed/pauses';
import { createSubject } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { statusOf } from './testbed/watching';
import { startWireTap } from './testbed/wire-tap';
import type { WireTap } from './testbed/wire-tap';

/** Long enough for a rotation that did not wait to be at its end. */
const OUTAGE_MS = 4_000;

let bed: Testbed;
let auditServer: Postgres;
let auditUrl: string;
let audit: AuditLog;
let awsTap: WireTap;
let postgresTap: WireTap;
let dependent: TestDependent;

beforeAll(async () => {
  bed = await openTestbed();
  auditServer = await startPostgres(() => undefined);
  const database = await createAuditDatabase(auditServer);
  auditUrl = database.workerUrl;
  audit = createPostgresAuditLog(database.url);
  awsTap = await startWireTap(Number(new URL(bed.env['AWS_ENDPOINT_URL'] ?? '').port));
  postgresTap = await startWireTap(bed.databases.port);
  dependent = await startDependent('shop', '1 second');
  await bed.startWorker({
    AWS_ENDPOINT_URL: `http://127.0.0.1:${awsTap.port}`,
    KEYTURN_AUDIT_DATABASE_URL: auditUrl,
  });
});
afterAll(async () => {
  try {
    await bed.close();
  } finally {
    await audit.close();
    await Promise.all([awsTap.stop(), postgresTap.stop(), dependent.stop(), auditServer.stop()]);
  }
});

interface Waiting {
  name: string;
  handle: WorkflowHandleWithFirstExecutionRunId;
  /** The step that waits; absent where it is no step of the recipe. */
  step?: string;
}

const subject = async (kind: Kind, secret: string, declaration = {}) =>
  createSubject(bed, kind, secret, declaration, { port: postgresTap.port });

/** Starts a rotation and returns once it stands still. */
async function standingAt(secret: string, where: Omit<Point, 'secretId'>) {
  const point = { secretId: bed.secrets.idOf(secret), ...where };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

/** Every call that left the worker so far. */
const callsSoFar = () => ({
  aws: awsRequests(awsTap.connections).length,
  logins: postgresTap.connections.length,
  healthChecks: dependent.asked,
});

async function waits({ name, handle, step }: Waiting): Promise<void> {
  await until(`${name} waits`, async () => {
    const events = (await handle.fetchHistory()).events ?? [];
    const timers = events.filter((event) => event.timerStartedEventAttributes);
    const summaries = timers.map((event) => Buffer.from(event.userMetadata?.summary?.data ?? []).toString());
    return summaries.includes('"auditing is down: waiting"');
  });
  const { steps } = await statusOf(handle);
  if (step)
    expect({ name, state: steps.find((s) => s.name === step)?.state }).toEqual({ name, state: 'waiting-for-audit' });
}

const recordsOf = async (secret: string): Promise<AuditEntry[]> =>
  (await audit.list({ secretId: bed.secrets.idOf(secret), limit: 1_000 })).map(({ entry }) => entry);

/** One that undoes: it stands still before it moves the labels back. */
async function standingWhileUndoing(secret: string) {
  await subject('single-user', secret, { dependents: [dependent.declaration] });
  const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' } as const;
  dependent.answer(async () => {
    await bed.pauses.stopAt(point);
    dependent.answer(200);
    return 503;
  });
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

/** One whose ALTER ROLE is under way, and takes effect when it is let go on. */
async function standingInAlterRole(secret: string) {
  const { logins } = await subject('single-user', secret);
  const { handle, goOn } = await standingAt(secret, { step: 'setPassword', when: 'before' });
  const held = await holdLogin(logins[0] ?? '');
  await goOn();
  await held.isWaitedFor();
  return { handle, goOn: () => held.release() };
}

test('without auditing rotations wait wherever they stand, touch nothing, and go on by themselves', async () => {
  const rotations: Waiting[] = [];
  const goOn: (() => Promise<unknown>)[] = [];
  const add = (name: string, step: string | undefined, standing: Awaited<ReturnType<typeof standingAt>>) => {
    rotations.push({ name, handle: standing.handle, step });
    goOn.push(standing.goOn);
  };
  const standStill = async (name: string, kind: Kind, where: Omit<Point, 'secretId'>, step?: string) => {
    await subject(kind, name);
    add(name, step, await standingAt(name, where));
  };
  await standStill('before-a-write', 'single-user', { step: 'createCandidate', when: 'after' }, 'setPassword');
  await standStill('before-a-look', 'single-user', { step: 'setPassword', when: 'after' }, 'loginWithCandidate');
  await standStill('at-a-write', 'alternating-users', { step: 'prepareLogin', when: 'before' }, 'prepareLogin');
  await standStill('at-the-end', 'app-secret', { step: 'promote', when: 'after' });
  await standStill('aborted', 'single-user', { step: 'createCandidate', when: 'after' }, 'setPassword');
  add('undoing', 'promote', await standingWhileUndoing('undoing'));
  const middle = await standingInAlterRole('in-the-middle');

  await auditServer.kill();
  await middle.goOn();
  rotations.push({ name: 'in-the-middle', handle: middle.handle, step: 'setPassword' });
  const before = callsSoFar();
  await subject('app-secret', 'at-the-start');
  rotations.push({ name: 'at-the-start', handle: await bed.start('at-the-start'), step: 'loadPlan' });
  await Promise.all(goOn.map((go) => go()));
  await Promise.all(rotations.map(waits));
  const aborted = bed.client.workflow.getHandle(`rotation/${bed.secrets.idOf('aborted')}`);
  const answer = aborted.executeUpdate<RequestAccepted, [object]>('abort', { args: [{ requestedBy: 'night shift' }] });
  expect(await answer).toMatchObject({ accepted: expect.any(String) as string });
  await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
  expect(callsSoFar()).toEqual(before);

  await auditServer.restart();
  for (const { name, handle } of rotations) {
    if (name === 'undoing') {
      expect(await failureOf(handle.result())).toMatchObject({ type: 'RotationRolledBack' });
      expect((await statusOf(handle)).steps.find((s) => s.name === 'promote')?.state).toBe('undone');
    } else {
      const { outcome } = (await handle.result()) as RotationResult;
      expect({ name, outcome }).toEqual({ name, outcome: name === 'aborted' ? 'aborted' : 'rotated' });
    }
    if (!name.startsWith('at-the')) expect(await bed.databases.opens(name)).toBe(true);
  }

  expect(await recordsOf('aborted')).toContainEqual(
    expect.objectContaining({ who: 'night shift', what: 'abort', outcome: 'accepted' }),
  );
  const attempts = (await recordsOf('in-the-middle')).filter(({ what }) => what === 'setPassword');
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['started', 'started', 'succeeded']);
  expect(await audit.verify()).toMatchObject({ ok: true });
});

test('a worker whose login may no longer write the audit log waits the same, until it may', async () => {
  await subject('app-secret', 'revoked');
  const { pathname, username } = new URL(auditUrl);
  const change = (statement: string) =>
    asSuperuser(auditServer, pathname.slice(1), (client) => client.query(statement));
  await change(`REVOKE keyturn_audit_writer FROM ${username}`);
  const before = callsSoFar();
  const handle = await bed.start('revoked');
  await waits({ name: 'revoked', handle, step: 'loadPlan' });
  expect(callsSoFar()).toEqual(before);
  await change(`GRANT keyturn_audit_writer TO ${username}`);
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
});
