import { GRACE_PERIOD_SIGNAL, rotationWorkflowId } from '../src/rotation/names';
import type { FleetReport } from '../src/rotation/fleet';
import { createApiKey } from './testbed/api-keys';
import { startDependent } from './testbed/dependent';
import { startFakeKeyService } from './testbed/fake-key-service';
import { fleetOf, outcomesOf } from './testbed/fleets';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const opened: Testbed[] = [];

async function open(fleet: Record<string, number> = {}, policy: Record<string, unknown> = {}): Promise<Testbed> {
  const bed = await openTestbed({ fleet, ...policy });
  opened.push(bed);
  await bed.secrets.create('unused', 'first-value-of-unused');
  await bed.startWorker();
  return bed;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((bed) => bed.close()));
});

async function appSecrets(bed: Testbed, names: string[], about: Record<string, unknown> = {}): Promise<void> {
  for (const name of names) await bed.secrets.create(name, `first-value-of-${name}`);
  await bed.declare(Object.fromEntries(names.map((name) => [name, { type: 'app-secret', ...about }])));
}

test('an environment is rotated as a whole, and what was rotated minutes ago is left alone unless it is an emergency', async () => {
  const bed = await open();
  await appSecrets(bed, ['jwt']);
  await bed.databases.singleUser('app');
  const fleet = fleetOf(bed);
  const report = await fleet.rotate({ reason: 'yearly' });
  expect(report).toMatchObject({ total: 3, succeeded: 3, failed: 0, skipped: 0, notStarted: 0, reason: 'yearly' });
  expect(report.secrets).toEqual(
    ['app', 'jwt', 'unused'].map((secret) => ({
      secret,
      type: secret === 'app' ? 'database' : 'app-secret',
      outcome: 'rotated',
      workflowId: rotationWorkflowId(bed.environment, secret),
      runId: expect.any(String) as string,
    })),
  );
  expect(await bed.databases.opens('app')).toBe(true);

  const again = await fleet.rotate();
  expect(again).toMatchObject({ total: 3, succeeded: 0, skipped: 3 });
  expect(again.secrets[0]).toMatchObject({
    outcome: 'too-soon',
    reason: expect.stringContaining('--emergency') as string,
  });
  expect(await fleet.rotate({ due: true })).toMatchObject({ succeeded: 0, skipped: 3 });
  expect(outcomesOf(await fleet.rotate({ emergency: true, types: ['app-secrets'] }))).toEqual({
    jwt: 'rotated',
    unused: 'rotated',
  });
});

test('only what is older than the catalog allows, or does not exist, is due', async () => {
  const bed = await open();
  await appSecrets(bed, ['old'], { maxAge: '1 second' });
  await bed.declare({ missing: { type: 'app-secret' } });
  await until('it is old', () => Promise.resolve(true), { everyMs: 1 });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(outcomesOf(await fleetOf(bed).rotate({ due: true }))).toEqual({
    missing: 'rotated',
    old: 'rotated',
    unused: 'not-due',
  });
});

test('one that runs already is reported so, and one in its grace period counts as done while it waits', async () => {
  const bed = await open({ concurrency: 1 });
  const service = await startFakeKeyService();
  bed.alsoSecret(() => service.everyValue());
  bed.alsoStop(service);
  for (const secret of ['key', 'another-key']) await createApiKey(bed, service, secret, { gracePeriod: '1 hour' });
  await appSecrets(bed, ['jwt']);
  const point = { secretId: bed.secrets.idOf('jwt'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const running = await bed.start('jwt');
  await bed.pauses.reached(point);

  const report = await fleetOf(bed).rotate();
  expect(outcomesOf(report)).toEqual({
    jwt: 'already-running',
    unused: 'rotated',
    key: 'in-grace-period',
    'another-key': 'in-grace-period',
  });
  expect(report).toMatchObject({ succeeded: 3, skipped: 1, failed: 0 });
  const [, jwt, key] = report.secrets;
  expect(jwt?.reason).toMatch(/^rotateAppSecret runs since \S+ by tester, now at promote$/);
  expect(Date.parse(key?.graceEndsAt ?? '') - Date.now()).toBeGreaterThan(50 * 60_000);
  await bed.pauses.goOn(point);
  await running.result();
  for (const secret of ['key', 'another-key']) {
    const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret));
    await rotation.signal('abort', {});
    await rotation.result();
  }
});

/** When each secret's rotation began and ended. */
async function timesOf(
  bed: Testbed,
  { secrets }: FleetReport,
): Promise<{ secret: string; from: number; to: number }[]> {
  return Promise.all(
    secrets.map(async ({ secret, workflowId = '', runId }) => {
      const { startTime, closeTime } = await bed.client.workflow.getHandle(workflowId, runId).describe();
      return { secret, from: startTime.getTime(), to: closeTime?.getTime() ?? Infinity };
    }),
  );
}

test('no two rotations that share a group of a database, a login or a workload are ever under way at once', async () => {
  const bed = await open({ concurrency: 20 });
  const shop = await startDependent('shop');
  bed.alsoStop(shop);
  await appSecrets(bed, ['shop/a', 'shop/b', 'shop/c'], { dependents: [shop.declaration] });
  await bed.databases.alternatingUsers('one');
  const { owner } = await bed.databases.alternatingUsers('two');
  await bed.databases.singleUser('login');
  await bed.secrets.create('login-again', await bed.secrets.value('login'));
  await bed.declare({ 'login-again': { type: 'database', strategy: 'single-user', sslmode: 'disable' } });
  // Both name the same group; only the second one's logins are in it, so that the first one is refused.
  await bed.declare({
    one: {
      type: 'database',
      strategy: 'alternating-users',
      sslmode: 'disable',
      groupRole: owner,
      adminSecret: 'two-admin',
    },
  });
  const report = await fleetOf(bed).rotate();
  const times = await timesOf(bed, report);
  for (const group of [
    ['shop/a', 'shop/b', 'shop/c'],
    ['one', 'two'],
    ['login', 'login-again'],
  ]) {
    const sharing = times.filter(({ secret }) => group.includes(secret)).sort((a, b) => a.from - b.from);
    expect(sharing).toHaveLength(group.length);
    for (const [n, { from }] of sharing.entries())
      expect(from).toBeGreaterThanOrEqual(n === 0 ? 0 : (sharing[n - 1]?.to ?? 0));
  }
  expect(report.secrets.filter(({ outcome }) => outcome === 'rotated').length).toBeGreaterThanOrEqual(6);
});

test('after too many failures in a row on one target system no more is started there, and the others go on', async () => {
  const bed = await open({ concurrency: 1, stopAfterFailures: 2 }, { stepTimeout: '1 second' });
  // In the order of their names as in that of their ages: each failure has a success behind it.
  for (const name of ['v1', 'v2', 'v3']) {
    await bed.databases.singleUser(`${name}-database`, { fields: { port: 1 } });
    await appSecrets(bed, [`${name}-jwt`]);
  }
  const report = await fleetOf(bed).rotate();
  expect(outcomesOf(report)).toEqual({
    ...{ 'v1-database': 'refused', 'v2-database': 'refused', 'v3-database': 'not-started' },
    ...{ 'v1-jwt': 'rotated', 'v2-jwt': 'rotated', 'v3-jwt': 'rotated', unused: 'rotated' },
  });
  expect(report.stopped).toBeUndefined();
  expect(report.secrets.find(({ secret }) => secret === 'v3-database')?.reason).toBe(
    `2 rotations in a row failed on ${bed.databases.host}:1: v1-database, v2-database`,
  );
});

/** Databases that cannot be reached, each on a server of its own. */
async function outOfReach(bed: Testbed, names: string[]): Promise<void> {
  for (const [n, name] of names.entries()) await bed.databases.singleUser(name, { fields: { port: n + 1 } });
}

test('after too many failures in a row over all nothing more is started', async () => {
  const bed = await open({ concurrency: 1, stopAfterFailures: 2 }, { stepTimeout: '1 second' });
  await outOfReach(bed, ['x1', 'x2', 'x3']);
  const report = await fleetOf(bed).rotate({ types: ['database'] });
  expect(outcomesOf(report)).toEqual({ x1: 'refused', x2: 'refused', x3: 'not-started' });
  expect(report).toMatchObject({ failed: 2, notStarted: 1, stopped: '2 rotations in a row failed: x1, x2' });
  expect(report.secrets[0]?.cause).toMatchObject({ type: 'TargetUnavailable' });
});

test('secrets that are refused for reasons of their own are failures in the report, and stop no other', async () => {
  const bed = await open({ concurrency: 1, stopAfterFailures: 2 });
  // Declared before they are stored, and so first of all.
  for (const name of ['x1', 'x2', 'x3']) await bed.declare({ [name]: { type: 'database', strategy: 'single-user' } });
  await appSecrets(bed, ['jwt']);
  const report = await fleetOf(bed).rotate();
  expect(outcomesOf(report)).toEqual({
    x1: 'refused',
    x2: 'refused',
    x3: 'refused',
    jwt: 'rotated',
    unused: 'rotated',
  });
  expect(report).toMatchObject({ succeeded: 2, failed: 3, notStarted: 0 });
  expect(report.stopped).toBeUndefined();
  expect(report.secrets.find(({ secret }) => secret === 'x3')?.cause).toMatchObject({ type: 'SecretUnusable' });
});

test('an emergency gives up on a target system, and never on all', async () => {
  const bed = await open({ concurrency: 1, stopAfterFailures: 2 }, { stepTimeout: '1 second' });
  await outOfReach(bed, ['x1', 'x2']);
  for (const name of ['x3', 'x4', 'x5']) await bed.databases.singleUser(name, { fields: { port: 9 } });
  await appSecrets(bed, ['z']);
  const report = await fleetOf(bed).rotate({ emergency: true });
  expect(outcomesOf(report)).toEqual({
    ...{ x1: 'refused', x2: 'refused', x3: 'refused', x4: 'refused', x5: 'not-started' },
    ...{ unused: 'rotated', z: 'rotated' },
  });
  expect(report.stopped).toBeUndefined();
  expect(report.secrets.find(({ secret }) => secret === 'x5')?.reason).toMatch(/^2 rotations in a row failed on /);
});

test('an abort starts no more, and what runs goes on to its end; a second one is refused', async () => {
  const bed = await open({ concurrency: 1 });
  await appSecrets(bed, ['a', 'b']);
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed);
  const handle = await fleet.start();
  await bed.pauses.reached(point);
  expect(await fleet.status()).toMatchObject({
    phase: 'rotating',
    total: 3,
    waiting: 2,
    running: [{ secret: 'unused' }],
  });
  expect(await handle.executeUpdate('abort', { args: [{ requestedBy: 'ann', reason: 'lunch' }] })).toEqual({
    accepted: 'no further rotation is started; those that run go on',
  });
  await expect(handle.executeUpdate('abort', { args: [{}] })).rejects.toThrow();
  await bed.pauses.goOn(point);
  const report = (await handle.result()) as FleetReport;
  expect(outcomesOf(report)).toEqual({ unused: 'rotated', a: 'not-started', b: 'not-started' });
  expect(report.stopped).toBe('aborted by ann: lunch');
});

test('a message about a grace period that makes no sense holds no fleet up', async () => {
  const bed = await open({ concurrency: 1 });
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await fleetOf(bed).start();
  await bed.pauses.reached(point);
  const begun = { secret: 'unused', graceEndsAt: new Date(Date.now() + 60_000).toISOString() };
  await handle.signal(GRACE_PERIOD_SIGNAL);
  for (const nonsense of [
    null,
    'unused',
    {},
    { secret: 'unused' },
    { secret: 'unused', graceEndsAt: 7 },
    { ...begun, runId: 7 },
  ]) {
    await handle.signal(GRACE_PERIOD_SIGNAL, nonsense);
  }
  expect(await fleetOf(bed).status()).toMatchObject({ running: [{ secret: 'unused' }], succeeded: 0 });
  expect(await handle.executeUpdate('abort', { args: [{}] })).toMatchObject({ accepted: expect.any(String) as string });
  await bed.pauses.goOn(point);
  expect(outcomesOf((await handle.result()) as FleetReport)).toEqual({ unused: 'rotated' });
});

test('the grace period of a rotation that an earlier fleet has left running is not taken for that of its own', async () => {
  const bed = await open({ concurrency: 1 });
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await fleetOf(bed).start();
  await bed.pauses.reached(point);
  const begun = { secret: 'unused', graceEndsAt: new Date(Date.now() + 60_000).toISOString() };
  await handle.signal(GRACE_PERIOD_SIGNAL, { ...begun, runId: 'of-an-earlier-one' });
  expect(await fleetOf(bed).status()).toMatchObject({ running: [{ secret: 'unused' }], succeeded: 0 });
  const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'unused'));
  const { runId } = await rotation.describe();
  await handle.signal(GRACE_PERIOD_SIGNAL, { ...begun, runId });
  expect((await handle.result()) as FleetReport).toMatchObject({
    succeeded: 1,
    secrets: [{ secret: 'unused', outcome: 'in-grace-period', runId }],
  });
  await bed.pauses.goOn(point);
  await rotation.result();
});

test('a fleet that is terminated leaves its rotations running, and the next one takes the rest', async () => {
  const bed = await open({ concurrency: 1 });
  // After `unused`, also when both were made in the same second.
  await appSecrets(bed, ['z']);
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed);
  const handle = await fleet.start();
  await bed.pauses.reached(point);
  await handle.terminate();
  expect(outcomesOf(await fleet.rotate())).toEqual({ unused: 'already-running', z: 'rotated' });
  await bed.pauses.goOn(point);
  expect(await bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, 'unused')).result()).toMatchObject({
    outcome: 'rotated',
  });
});

test('two fleets of one environment never run at once, whatever their workflow IDs; of two environments they do not disturb each other', async () => {
  const [bed, other] = await Promise.all([open({ concurrency: 1 }), open()]);
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed);
  // As a schedule starts it.
  const scheduled = await fleet.start({}, `weekly-${bed.environment}-2030-01-07T02:00:00Z`);
  await bed.pauses.reached(point);
  await expect(fleet.start()).rejects.toMatchObject({ name: 'WorkflowExecutionAlreadyStartedError' });
  const second = await failureOf(fleet.start({}, `by-hand-${bed.environment}`).then((started) => started.result()));
  expect(second).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'AlreadyRunning' } } });
  expect(await fleetOf(other).rotate()).toMatchObject({ succeeded: 1, failed: 0 });
  await bed.pauses.goOn(point);
  expect(await scheduled.result()).toMatchObject({ succeeded: 1, failed: 0 });
});

test('a mistake in the input, or an environment that is not there, is named before anything starts', async () => {
  const bed = await open();
  const fleet = fleetOf(bed);
  const refusal = async (input: object) => failureOf(fleet.rotate(input));
  for (const [input, says] of [
    [{ types: ['passwords'] }, '"passwords", which is none of all, database'],
    [{ types: [] }, 'types is not a list'],
    [{ concurrency: 0 }, 'whole number from 1 to 100'],
    [{ concurrancy: 2 }, 'unknown field concurrancy'],
    [{ dryRun: 'yes' }, 'dryRun is not true or false'],
    [{ due: true, emergency: true }, 'give one of them'],
  ] as const) {
    const { type, message } = await refusal(input);
    expect({ type, message }).toEqual({ type: 'RotationRefused', message: expect.stringContaining(says) as string });
  }
  const elsewhere = bed.client.workflow.execute('rotateEnvironment', {
    taskQueue: bed.taskQueue,
    workflowId: `fleet/no-${bed.environment}`,
    args: [{ environment: `no-${bed.environment}` }],
  });
  expect(await failureOf(elsewhere)).toMatchObject({
    type: 'RotationRefused',
    details: { cause: { type: 'UnknownSecret' } },
  });

  const none = await fleet.rotate({ types: ['certificates'] });
  expect(none).toMatchObject({ total: 0, secrets: [] });
  expect(none.notes).toEqual([
    `Keyturn does not rotate certificates yet, so that no secret of ${bed.environment} is of that type.`,
    `The catalog declares no secret of the types certificates in ${bed.environment}; there was nothing to rotate.`,
  ]);
});
