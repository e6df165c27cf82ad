import { createPostgresAuditLog } from '../src/activities/audit/postgres-audit-log';
import type { FailuresFound, ReviewInput, ReviewReport } from '../src/rotation/review';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import { createOwnAuditDatabase } from './testbed/own-audit-database';
import { triggered } from './testbed/schedules';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { startWireTap } from './testbed/wire-tap';

const APP = { type: 'app-secret' as const };
const DAY_MS = 86_400_000;

let bed: Testbed;
let cli: Cli;
let reviews = 0;

const reviewId = (rest = '') => `keyturn/review/${bed.environment}${rest}`;
const rotationId = (secret: string) => `keyturn/rotation/${bed.environment}/${secret}`;

beforeAll(async () => {
  bed = await openTestbed({ maxAge: '30 days' });
  cli = createCli(bed);
  await bed.declareNotifications({
    channels: { log: { type: 'log' } },
    routes: [{ channels: ['log'], events: ['review-due'] }],
  });
  const dependent = await startDependent('shop', '1 second');
  bed.alsoStop(dependent);
  dependent.answer(() => Promise.resolve(dependent.asked > 1 ? 200 : 503));
  for (const secret of ['old', 'forgotten', 'long', 'held', 'broken', 'often']) {
    await bed.secrets.create(secret, `first-value-of-${secret}`);
  }
  await bed.declare({
    unused: { ...APP, review: 'off' },
    old: { ...APP, maxAge: '1 second', schedule: 'by-hand' },
    long: { ...APP, maxAge: '60 days' },
    held: { ...APP, schedule: { paused: true } },
    broken: { ...APP, dependents: [dependent.declaration] },
    absent: { type: 'database', strategy: 'single-user' },
    often: { ...APP, review: 'weekly', schedule: 'by-hand' },
  });
  await bed.startWorker();
});
afterAll(async () => {
  await bed.writeCatalog(
    `environments: {${bed.environment}: {review: off, schedules: {weeklyRun: never, ageCheck: never}, secrets: {}}}`,
  );
  await cli.run(['apply']);
  await cli.stop();
  await bed.close();
});

/** Has Temporal start what a schedule starts, and waits for its report. */
async function reported(scheduleId: string): Promise<{ report: ReviewReport; workflowId: string }> {
  const { workflowId } = await triggered(bed, scheduleId);
  return { report: (await bed.client.workflow.getHandle(workflowId).result()) as ReviewReport, workflowId };
}

function startReview(input: Partial<ReviewInput> = {}, { client, taskQueue, environment } = bed) {
  return client.workflow.start<(input: ReviewInput) => Promise<ReviewReport>>('reviewEnvironment', {
    workflowId: `review-${environment}-${++reviews}`,
    taskQueue,
    args: [{ environment, requestedBy: 'tester', tell: false, ...input }],
  });
}

async function review(input: Partial<ReviewInput> = {}, of = bed): Promise<ReviewReport> {
  return (await startReview(input, of)).result();
}

const fails = (secret: string) => failureOf(bed.rotate(secret));
const counted = ({ failures }: ReviewReport) =>
  Object.fromEntries((failures as FailuresFound).secrets.first.map((one) => [one.secret, one.failures]));
async function toldBy(workflowId: string): Promise<{ message: string; next: string; id: string }> {
  const { runId } = await bed.client.workflow.getHandle(workflowId).describe();
  const handle = bed.client.workflow.getHandle(`notification/${bed.environment}/review-due/${runId}`);
  expect(await handle.result()).toEqual({ sent: ['log'], notSent: [] });
  const { events } = await handle.fetchHistory();
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return JSON.parse(Buffer.from(input?.data ?? []).toString()) as { message: string; next: string; id: string };
}

test('the schedule reports ages, failures and exceptions since the last review, and each failure is in one report', async () => {
  expect(await fails('broken')).toMatchObject({ type: 'RotationRolledBack' });
  for (let n = 0; n < 2; n++) expect(await fails('absent')).toMatchObject({ type: 'RotationRefused' });
  await bed.rotate('long');
  expect(await cli.run(['apply'])).toMatchObject({ code: 0 });
  await bed.client.schedule.getHandle(rotationId('long')).pause('INC-1234: not before Monday');
  await until('the list shows both pauses', async () => {
    const { exceptions } = await review();
    return exceptions.paused.total === 2;
  });

  const first = await reported(reviewId());
  expect(first.report).toMatchObject({
    environment: bed.environment,
    covers: 'inherited',
    begins: 'one-interval-ago',
    ages: { total: 6, overdue: { total: 1, first: [{ secret: 'old' }] } },
    failures: {
      rotated: 1,
      failures: 3,
      secrets: {
        total: 2,
        first: [
          {
            secret: 'absent',
            failures: 2,
            refused: 2,
            rolledBack: 0,
            last: { outcome: 'refused', cause: 'SecretUnusable' },
          },
          {
            secret: 'broken',
            failures: 1,
            refused: 0,
            rolledBack: 1,
            last: { outcome: 'rolled-back', step: 'deliver', cause: 'DependentUnhealthy' },
          },
        ],
      },
    },
    exceptions: {
      byHand: { total: 1, first: ['old'] },
      longerMaxAge: { total: 1, first: [{ secret: 'long', maxAgeMs: 60 * DAY_MS, policyMs: 30 * DAY_MS }] },
      paused: {
        total: 2,
        first: [
          { scheduleId: rotationId('held'), by: 'catalog' },
          { scheduleId: rotationId('long'), by: 'operator', note: 'INC-1234: not before Monday' },
        ],
      },
      undeclared: { total: 1, first: ['forgotten'] },
    },
    told: true,
  });
  const days = (Date.parse(first.report.until) - Date.parse(first.report.since)) / DAY_MS;
  expect(Math.round(days)).toBe(35);

  const { message, next } = await toldBy(first.workflowId);
  expect(message).toMatch(/overdue: 1: old \(.+ old, may be 1 s\)/);
  expect(message).toContain(
    'failed rotations: 3: absent (2 times, last refused, SecretUnusable), broken (last rolled-back',
  );
  expect(message).toContain('rotated by hand only: 1: old');
  expect(message).toContain('not in the catalog: 1: forgotten');
  expect(next).toBe(`keyturn review ${bed.environment} --since ${first.report.since} --no-tell`);

  // What somebody looks at in between takes nothing from the next one.
  await fails('absent');
  expect(counted(await review({ since: '1 hour' }))).toEqual({ absent: 3, broken: 1 });
  const asked = await review();
  expect([asked.begins, counted(asked)]).toEqual(['at-the-last-review', { absent: 1 }]);

  const second = await reported(reviewId());
  expect(second.report).toMatchObject({ begins: 'at-the-last-review', since: first.report.until });
  expect(counted(second.report)).toEqual({ absent: 1 });
  const third = await reported(reviewId());
  expect(third.report).toMatchObject({ since: second.report.until, failures: { failures: 0, rotated: 0 } });
});

test('a secret with an interval of its own has a review of its own, and is in no other', async () => {
  const { report } = await reported(reviewId('/weekly'));
  expect(report).toMatchObject({
    covers: 'weekly',
    begins: 'one-interval-ago',
    ages: { total: 1, oldest: { secret: 'often' } },
    exceptions: { byHand: { first: ['often'] }, undeclared: { total: 0 }, paused: { total: 0 } },
  });
  expect(Math.round((Date.parse(report.until) - Date.parse(report.since)) / DAY_MS)).toBe(7);
  await expect(bed.client.schedule.getHandle(reviewId('/yearly')).describe()).rejects.toThrow('not found');
});

test('a review that failed before it was noted is made up for by the next', async () => {
  const { report: last } = await reported(reviewId());
  await fails('absent');
  const catalog = async (broken: boolean) =>
    broken ? bed.writeCatalog('environments: {nowhere: {secrets: {}}}') : bed.declare({});
  await catalog(true);
  await expect(reported(reviewId())).rejects.toThrow();
  await catalog(false);
  const { report } = await reported(reviewId());
  expect([report.since, counted(report)]).toEqual([last.until, { absent: 1 }]);
});

test('an input that makes no sense, or an unknown environment, is refused', async () => {
  for (const [input, type] of [
    [{ since: 'soon' }, 'BadInput'],
    [{ since: '5' }, 'BadInput'],
    [{ since: '2999-01-01' }, 'BadInput'],
    [{ since: '0 days' }, 'BadInput'],
    [{ covers: 'some' as ReviewInput['covers'] }, 'BadInput'],
    [{ tell: 'no' as unknown as boolean }, 'BadInput'],
    [{ every: 'week' } as Partial<ReviewInput>, 'BadInput'],
    [{ environment: 'nowhere' }, 'UnknownSecret'],
  ] as const) {
    expect(await failureOf(review(input))).toMatchObject({ type: 'ReviewFailed', details: { cause: { type } } });
  }
});

describe('keyturn review', () => {
  test('prints all of it, and tells nobody when it is asked not to', async () => {
    const { code, stdout, stderr } = await cli.run(['review', bed.environment, '--since', '90d', '--no-tell']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      new RegExp(`^Review of ${bed.environment} since \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\dZ\\.$`, 'm'),
    );
    expect(stdout).toMatch(/^Overdue: 1\n {2}old +.+ +may be 1 s$/m);
    expect(stdout).toMatch(
      /^Failed rotations: \d, beside 1 that brought a new version\n {2}absent +\d: \d refused +last .+Z at .+: SecretUnusable$/m,
    );
    expect(stdout).toMatch(/^Rotated by hand only: 2\n {2}old\n {2}often$/m);
    expect(stdout).toMatch(/^Paused schedules: 2$/m);
    expect(stdout).toMatch(/^Not in the catalog: 1\n {2}forgotten$/m);
    expect(stdout).toMatch(/^Nobody is told of it\.$/m);
  });

  test('tells people as the schedule does, and gives JSON', async () => {
    const { code, result } = await cli.json<ReviewReport>(['review', bed.environment]);
    expect({ code, told: result.told, covers: result.covers }).toEqual({ code: 0, told: true, covers: 'all' });
  });

  test('ends with exit code 2 when it is asked wrongly', async () => {
    for (const argv of [
      [bed.environment, '--since', 'soon'],
      [bed.environment, '--since', '2999-01-01'],
      ['nowhere'],
      [],
    ]) {
      const { code, stderr } = await cli.run(['review', ...argv]);
      expect({ argv, code }).toEqual({ argv, code: 2 });
      expect(stderr).not.toContain('    at ');
    }
  });
});

describe('with an audit log of which the worker may only', () => {
  let own: Awaited<ReturnType<typeof createOwnAuditDatabase>>;
  let other: Testbed;
  let tap: Awaited<ReturnType<typeof startWireTap>>;

  beforeAll(async () => {
    other = await openTestbed();
    own = await createOwnAuditDatabase(bed);
    tap = await startWireTap(bed.databases.port);
    const url = new URL(await own.urlOfLogin('keyturn_audit_writer'));
    url.port = String(tap.port);
    await other.startWorker({ KEYTURN_AUDIT_DATABASE_URL: url.href });
    await other.declare({ absent: { type: 'database', strategy: 'single-user' } });
    await failureOf(other.rotate('absent'));
  });
  afterAll(async () => {
    await other.close();
    await tap.stop();
    await own.drop();
  });

  test('append to, failures are counted', async () => {
    expect(counted(await review({}, other))).toEqual({ absent: 1 });
  });

  test('a review waits while the audit log is down', async () => {
    tap.mode = 'hang-up';
    await own.asSuperuser(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    const handle = await startReview({}, other);
    await until('it waits', async () => {
      const { events = [] } = await handle.fetchHistory();
      return events?.some((event) => event.timerStartedEventAttributes);
    });
    tap.mode = 'pass';
    expect(counted(await handle.result())).toEqual({ absent: 1 });
  });

  test('append to, and that was set up before there were reviews, the report says so and has the rest', async () => {
    await own.asSuperuser('DROP FUNCTION keyturn_audit.failures(text[], bigint, timestamptz, integer)');
    const report = await review({}, other);
    expect(report).toMatchObject({
      failures: {
        problem: expect.stringMatching(/failures.* does not exist\. Run deploy\/postgres\/audit\.sql in it again/),
      },
      ages: { total: 2 },
    });
    const { stdout, code } = await createCli(other).run(['review', other.environment, '--no-tell']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Failed rotations: not known: .*audit\.sql/m)]);
  });
});

test('the database counts what ended twice once, names no more secrets than asked, and goes by the record before the time', async () => {
  const own = await createOwnAuditDatabase(bed);
  const log = createPostgresAuditLog(await own.urlOfLogin('keyturn_audit_writer'));
  try {
    const ended = (secretId: string, runId: string, outcome = 'rolled-back') =>
      log.append({
        who: 'ada',
        what: 'recordOutcome',
        outcome: 'succeeded',
        secretId,
        workflow: { id: `rotation/${secretId}`, runId },
        activity: { type: 'recordOutcome', id: '1', attempt: 1, local: true, taskQueue: 'keyturn' },
        input: { outcome, cause: 'TargetUnavailable', failedStep: 'promote' },
      });
    await ended('dev/a', 'run-1');
    await ended('dev/a', 'run-1');
    await ended('dev/a', 'run-2', 'rollback-incomplete');
    await ended('dev/b', 'run-3');
    await ended('dev/b', 'run-4', 'rotated');
    await ended('dev/b', 'run-5', 'aborted');
    await ended('dev/other', 'run-6');
    const at = new Date(Date.now() - DAY_MS);
    const of = ['dev/a', 'dev/b'];
    const found = await log.failures(of, { at }, 1);
    expect(found).toMatchObject({ until: { seq: 7 }, rotated: 1, failures: 3, failing: 2 });
    expect(found.secrets).toEqual([
      expect.objectContaining({ secretId: 'dev/a', failures: 2, rolledBack: 1, rollbackIncomplete: 1, refused: 0 }),
    ]);
    expect(await log.failures(of, { seq: 3, at: new Date(Date.now() + DAY_MS) }, 9)).toMatchObject({ failures: 1 });
    // A log that was begun anew has no such record.
    expect(await log.failures(of, { seq: 99, at }, 9)).toMatchObject({ failures: 3 });
    expect(await log.failures([], { at }, 9)).toMatchObject({ failures: 0, secrets: [] });
    expect(await log.lastReview('dev', 'inherited')).toBeUndefined();
  } finally {
    await log.close();
    await own.drop();
  }
});
