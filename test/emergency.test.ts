import { MockActivityEnvironment } from '@temporalio/testing';
import { createEmergencyActivities } from '../src/activities/emergency';
import type { Emergency } from '../src/client/emergencies';
import type { FleetReport } from '../src/rotation/fleet';
import { GRACE_PERIOD_SIGNAL, rotationWorkflowId } from '../src/rotation/names';
import type { OperatorRequest, RotationResult } from '../src/rotation/types';
import { startEvent } from '../src/runtime/events/starting';
import type { WorkerProcess } from './lab/worker-process';
import { accepted, createApiKey } from './testbed/api-keys';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';
import { fleetOf } from './testbed/fleets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let service: FakeKeyService;
let cli: Cli;
let worker: WorkerProcess;

beforeAll(async () => {
  // Rotations stand still for as long as others take.
  bed = await openTestbed({ fleet: { concurrency: 1 }, stepTimeout: '10 minutes' });
  service = await startFakeKeyService();
  bed.alsoSecret(() => service.everyValue());
  bed.alsoStop(service);
  cli = createCli(bed);
  await bed.secrets.create('unused', 'first-value-of-unused');
  worker = await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
});

const rotationOf = (secret: string) => bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret));

/** What the first of a secret's rotations was asked, and not the latest. */
async function requestsTo({ rotation }: Key): Promise<OperatorRequest[]> {
  const { workflowId, firstExecutionRunId } = rotation;
  return (await statusOf(bed.client.workflow.getHandle(workflowId, firstExecutionRunId))).requests;
}

interface Key {
  secret: string;
  /** The value that was in use before the rotation whose grace period it is. */
  first: string;
  rotation: Awaited<ReturnType<Testbed['start']>>;
}

/** An API key whose two keys both work for a week. */
async function keyInGracePeriod(secret: string, declaration: Record<string, unknown> = {}): Promise<Key> {
  const { value } = await createApiKey(bed, service, secret, { gracePeriod: '7 days', ...declaration });
  const rotation = await bed.start(secret);
  await inPhase(rotation, 'grace-period');
  return { secret, first: value, rotation };
}

/** Of the two keys that worked neither is accepted any more, and the one in AWSCURRENT is. */
async function expectReplaced({ secret, first, rotation }: Key): Promise<void> {
  const { outcome, versions } = (await rotation.result()) as RotationResult;
  expect(outcome).toBe('rotated');
  const keyOf = (text: string) => (JSON.parse(text) as { key: string }).key;
  const second = keyOf(await bed.secrets.valueOfVersion(secret, versions.current ?? ''));
  expect(await accepted(service, first)).toBe(false);
  expect(await accepted(service, second)).toBe(false);
  expect(await accepted(service, keyOf(await bed.secrets.value(secret)))).toBe(true);
}

/** An app secret whose rotation stands still. */
async function rotationThatStands(secret: string, input: { emergency?: boolean } = {}) {
  const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const rotation = await bed.start(secret, input);
  await bed.pauses.reached(point);
  return { rotation, goOn: () => bed.pauses.goOn(point) };
}

async function appSecret(secret: string): Promise<void> {
  await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.declare({ [secret]: { type: 'app-secret' } });
}

test('an emergency ends grace periods and waits for what runs, rotates all of it again, and the others meanwhile', async () => {
  const key = await keyInGracePeriod('api/key');
  const used = await keyInGracePeriod('api/used', { quietPeriod: '1 day' });
  service.setLastUsed((await statusOf(used.rotation)).keys?.old ?? '', new Date());
  await bed.databases.alternatingUsers('orders', { declaration: { gracePeriod: '7 days' } });
  const logins = await bed.start('orders');
  await inPhase(logins, 'grace-period');
  await appSecret('busy');
  const busy = await rotationThatStands('busy');

  const fleet = fleetOf(bed, { emergency: true });
  const handle = await fleet.start({ reason: 'a laptop was stolen' });
  const status = await until('only one is left', async () => {
    const now = await fleet.status();
    return now.succeeded === now.total - 1 && now.inTheWay === 1 && now;
  });
  expect(status).toMatchObject({ inTheWay: 1, waiting: 0, running: [], failed: 0 });
  expect(status.waitsFor).toEqual([
    {
      secret: 'busy',
      since: expect.any(String) as string,
      what: expect.stringMatching(/^rotateAppSecret runs since \S+ by tester, now at promote$/) as string,
    },
  ]);
  await expectReplaced(key);
  await expectReplaced(used);
  expect((await requestsTo(key))[0]).toMatchObject({
    request: 'endGracePeriod',
    requestedBy: 'tester',
    reason: 'a laptop was stolen',
  });

  await worker.kill('SIGKILL');
  worker = await bed.startWorker();
  await busy.goOn();
  const report = (await handle.result()) as FleetReport;
  expect(report).toMatchObject({ total: 5, succeeded: 5, failed: 0, skipped: 0 });
  const after = Object.fromEntries(report.secrets.map(({ secret, outcome, after: what }) => [secret, [outcome, what]]));
  const ended = (type: string) => ['rotated', expect.stringMatching(new RegExp(`^${type} runs since `)) as string];
  expect(after).toEqual({
    'api/key': ended('rotateApiKey'),
    'api/used': ended('rotateApiKey'),
    orders: ended('rotateDatabaseCredential'),
    busy: ended('rotateAppSecret'),
    unused: ['rotated', undefined],
  });
  const { versions } = (await busy.rotation.result()) as RotationResult;
  expect((await bed.secrets.labels('busy')).previous).toBe(versions.current);
  const { versions: before } = (await logins.result()) as RotationResult;
  for (const versionId of [before.previous, before.current]) {
    expect(await bed.databases.opens('orders', { versionId: versionId ?? '' })).toBe(false);
  }
  expect(await bed.databases.opens('orders')).toBe(true);
}, 180_000);

test('an emergency goes before all other work, down to its activities', async () => {
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed, { emergency: true });
  const handle = await fleet.start({ types: ['app-secrets'] }, `by-hand-${bed.environment}`);
  await bed.pauses.reached(point);
  expect((await rotationOf('unused').describe()).priority?.priorityKey).toBe(1);
  expect((await fleet.handle().describe()).priority?.priorityKey).toBe(1);
  const { events } = await rotationOf('unused').fetchHistory();
  const activities = events?.flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled ?? []) ?? [];
  expect(activities.map(({ priority }) => priority?.priorityKey)).toEqual(activities.map(() => 1));
  expect(activities).not.toEqual([]);
  await bed.pauses.goOn(point);
  await handle.result();
});

test('an emergency rotation that somebody began after the fleet did it as well as the fleet would', async () => {
  // The oldest is rotated first, and of two of the same second the one whose name comes first.
  await bed.declare({ younger: { type: 'app-secret' } });
  await bed.rotate('younger');
  const point = { secretId: bed.secrets.idOf('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed, { emergency: true });
  const handle = await fleet.start({ types: ['app-secrets'] });
  await bed.pauses.reached(point);
  const others = await rotationThatStands('younger', { emergency: true });
  await bed.pauses.goOn(point);
  await until('it is in the way', async () => (await fleet.status()).inTheWay === 1);
  await others.goOn();
  const { secrets } = (await handle.result()) as FleetReport;
  expect(secrets.find(({ secret }) => secret === 'younger')).toMatchObject({
    outcome: 'rotated',
    runId: others.rotation.firstExecutionRunId,
  });
  expect(await bed.secrets.versionIds('younger')).toHaveLength(2);
}, 90_000);

test('what is in the way and tells the fleet of its grace period, as if that had started it, is counted once', async () => {
  await appSecret('early');
  const { goOn } = await rotationThatStands('early');
  const point = { secretId: `${bed.environment}/*`, step: 'start', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const fleet = fleetOf(bed, { emergency: true });
  const handle = await fleet.start({ types: ['app-secrets'] });
  await bed.pauses.reached(point);
  const { succeeded } = await fleet.status();
  await handle.signal(GRACE_PERIOD_SIGNAL, { secret: 'early', graceEndsAt: new Date().toISOString() });
  await until('it is counted', async () => (await fleet.status()).succeeded > succeeded);
  await bed.pauses.goOn(point);
  await until('it waits', async () => (await fleet.status()).inTheWay === 1);
  await goOn();
  const { total, secrets } = (await handle.result()) as FleetReport;
  expect(secrets).toHaveLength(total);
  expect(secrets.filter(({ secret }) => secret === 'early')).toMatchObject([{ outcome: 'rotated' }]);
}, 90_000);

test('keyturn rotate --emergency of one secret ends its grace period and rotates it again', async () => {
  const key = await keyInGracePeriod('api/one');
  const { code, stderr } = await cli.run(['rotate', bed.secrets.idOf('api/one'), '--emergency', '--reason', 'INC-7']);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/is being changed already: rotateApiKey runs since \S+, started by tester/) as string,
  });
  await expectReplaced(key);
  expect((await requestsTo(key))[0]).toMatchObject({ request: 'endGracePeriod', reason: 'INC-7' });
  expect((await rotationOf('api/one').describe()).priority?.priorityKey).toBe(1);
}, 90_000);

test('two operators who declare the same emergency wait together, for one rotation', async () => {
  await appSecret('shared');
  const { rotation, goOn } = await rotationThatStands('shared');
  const command = ['rotate', bed.secrets.idOf('shared'), '--emergency', '--reason'];
  const first = cli.start([...command, 'INC-8']);
  await until('it waits', () => Promise.resolve(first.stderr().includes('its end is waited for')));
  const second = cli.start([...command, 'INC-9']);
  await until('it waits as well', () => Promise.resolve(second.stderr().includes('Nothing was started')));
  expect(second.stderr()).toMatch(
    /this follows the emergency of \S+ that was declared at \S+Z, started by tester \(INC-8\)\. If it has leaked again since/,
  );
  expect(second.stderr()).not.toContain('its end is waited for');
  await until('the front door is open', () =>
    bed.client.workflow
      .getHandle(`emergency/${bed.secrets.idOf('shared')}`)
      .describe()
      .then(() => true),
  );
  await goOn();
  for (const one of [first, second]) expect(await one.ended).toMatchObject({ code: 0 });
  const { versions } = (await rotation.result()) as RotationResult;
  expect((await bed.secrets.labels('shared')).previous).toBe(versions.current);
  expect(await bed.secrets.versionIds('shared')).toHaveLength(3);
}, 90_000);

/** What is in the way, as a worker of a task queue sees it; Temporal answers nothing about one of the secrets. */
async function lookFrom(taskQueue: string, secrets: string[], unanswered?: string) {
  const { environment, client } = bed;
  const { clearTheWay } = createEmergencyActivities({
    getHandle: (workflowId) => {
      if (unanswered !== undefined && workflowId === rotationWorkflowId(environment, unanswered)) {
        throw new Error('Temporal does not answer');
      }
      return client.workflow.getHandle(workflowId);
    },
  });
  const input = { secretId: `${environment}/*`, step: 'clearTheWay', environment, secrets, since: 0 };
  return new MockActivityEnvironment({ taskQueue }).run(clearTheWay, input);
}

test('a rotation of which nothing can be found out holds up none of the others of its batch', async () => {
  const found = await lookFrom(bed.taskQueue, ['never/one', 'unanswered', 'never/two'], 'unanswered');
  expect(found).toEqual([
    { secret: 'never/one', state: 'gone' },
    { secret: 'unanswered', state: 'running' },
    { secret: 'never/two', state: 'gone' },
  ]);
  await expect(lookFrom(bed.taskQueue, ['unanswered'], 'unanswered')).rejects.toThrow('does not answer');
});

test('only what the workers of the same task queue have rotated counts as done', async () => {
  await appSecret('queued');
  await bed.rotate('queued', { emergency: true });
  expect(await lookFrom(bed.taskQueue, ['queued'])).toMatchObject([{ state: 'replaced' }]);
  expect(await lookFrom('of-somebody-else', ['queued'])).toEqual([{ secret: 'queued', state: 'gone' }]);
});

test('keyturn status tells an emergency that waits, also one that was reported, from the rotation that it has started', async () => {
  await appSecret('told');
  const { goOn } = await rotationThatStands('told');
  const secretId = bed.secrets.idOf('told');
  const emergency = { environment: bed.environment, secret: 'told', reason: 'found in a log' };
  const event = await startEvent(
    bed.client.workflow,
    bed.taskQueue,
    { kind: 'leak', rotate: true, ...emergency },
    'a b',
  );
  if (!('workflowId' in event)) throw new Error(event.left);
  const status = await until('visibility knows it', async () => {
    const { stdout } = await cli.run(['status', secretId]);
    return stdout.includes('An emergency waits') && stdout;
  });
  expect(status).toContain(
    `then ${secretId} is rotated again. To call that off: temporal workflow cancel --workflow-id '${event.workflowId}/rotate-1'`,
  );
  expect((await cli.run(['status', bed.environment])).stdout).toMatch(
    new RegExp(
      `^${secretId}: an emergency waits since \\S+Z for the end of what runs. More: keyturn status ${secretId}$`,
      'm',
    ),
  );

  const point = { secretId, step: 'createCandidate', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  await goOn();
  await bed.pauses.reached(point);
  const { stdout } = await cli.run(['status', secretId]);
  expect(stdout).toMatch(/^This is the rotation of the emergency that was declared at \S+Z\.$/m);
  expect(stdout).not.toContain('temporal workflow cancel');
  const { result } = await cli.json<{ emergencies: Emergency[] }>(['status', bed.environment]);
  expect(result.emergencies).toMatchObject([{ secretId, state: 'rotating' }]);
  expect((await cli.run(['status', bed.environment])).stdout).not.toContain('an emergency waits');
  await bed.pauses.goOn(point);
  expect(await bed.client.workflow.getHandle(event.workflowId).result()).toEqual({ outcome: 'rotated' });
}, 90_000);

test('a dry run of an emergency ends nothing', async () => {
  const { rotation } = await keyInGracePeriod('api/left-alone');
  const refused = await cli.json(['rotate', bed.secrets.idOf('api/left-alone'), '--emergency', '--dry-run']);
  expect({ code: refused.code, type: refused.error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
  const report = await fleetOf(bed).rotate({ emergency: true, dryRun: true, types: ['api-keys'] });
  expect(report.secrets.find(({ secret }) => secret === 'api/left-alone')?.outcome).toBe('already-running');
  expect(await statusOf(rotation)).toMatchObject({ phase: 'grace-period', requests: [] });
  await rotation.signal('abort', {});
  await rotation.result();
}, 90_000);
