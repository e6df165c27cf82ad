import type { WorkflowHandle } from '@temporalio/client';
import { startFaultProxy } from './lab/fault-proxy';
import { freePort } from './lab/ports';
import { spawnWorker } from './lab/worker-process';
import type { WorkerProcess } from './lab/worker-process';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { startWireTap } from './testbed/wire-tap';

const STEP_TIMEOUT_MS = 12_000;

let bed: Testbed;
let bedOfNeverEnding: Testbed;
/** What takes long goes on beside the other tests: a worker whose step never ends, and one that waits for Temporal in vain. */
let neverEnding: Promise<WorkerProcess>;
let unreachable: Promise<WorkerProcess>;

beforeAll(async () => {
  const timeout = `${STEP_TIMEOUT_MS} ms`;
  bed = await openTestbed({ stepTimeout: timeout, rollbackTimeout: timeout });
  bedOfNeverEnding = await openTestbed();
  unreachable = spawnWorker({ ...bed.env, TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}` });
  neverEnding = stopWhileStepNeverEnds(bedOfNeverEnding);
});
afterAll(async () => {
  await (await unreachable).kill();
  await bedOfNeverEnding.close();
  await bed.close();
});

async function stopWhileStepNeverEnds({ secrets, pauses, start, startWorker }: Testbed): Promise<WorkerProcess> {
  await secrets.create('unused', 'first-value-of-unused');
  const worker = await startWorker();
  const point = { secretId: secrets.idOf('unused'), step: 'promote', when: 'after' } as const;
  await pauses.stopAt(point);
  await start('unused');
  await pauses.reached(point);
  void worker.kill('SIGTERM');
  return worker;
}

/** What stands in front of a server for one test; left open by a test that fails, it would keep jest from ending. */
const inFront: { stop(): Promise<void> }[] = [];
afterEach(() => Promise.all(inFront.splice(0).map((server) => server.stop())));

const id = (secret: string) => bed.secrets.idOf(secret);

/** With time to survive what a test does to its worker; the short time-outs are for secrets that are meant to fail. */
async function appSecret(secret: string): Promise<void> {
  await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.declare({ [secret]: { type: 'app-secret', stepTimeout: '2 minutes', rollbackTimeout: '2 minutes' } });
}

/** A rotation that stands still in its step `promote`; the worker has done it and not yet said so. */
async function rotationWithStepUnderWay(secret: string) {
  const point = { secretId: id(secret), step: 'promote', when: 'after' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

function linesOf(output: string): Record<string, unknown>[] {
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

interface Health {
  status: number;
  body: { status: string; checks?: { name: string; ok: boolean; problem?: string }[] };
}

async function health(worker: WorkerProcess, path: '/healthz' | '/readyz'): Promise<Health> {
  const answer = await fetch(`http://${(await worker.ready).healthAddress}${path}`);
  return { status: answer.status, body: (await answer.json()) as Health['body'] };
}

/** Who did the work of a rotation: the identities of the workers that completed its activities and its workflow tasks. */
async function workersOf(handle: WorkflowHandle): Promise<{ activities: Map<string, string>; last: string }> {
  const { events } = await handle.fetchHistory();
  const scheduled = new Map<string, string>();
  const activities = new Map<string, string>();
  let last = '';
  for (const event of events ?? []) {
    const { activityTaskScheduledEventAttributes: begun, activityTaskCompletedEventAttributes: done } = event;
    if (begun) scheduled.set(String(event.eventId), begun.activityType?.name ?? '');
    if (done) activities.set(scheduled.get(String(done.scheduledEventId)) ?? '', done.identity ?? '');
    last = event.workflowTaskCompletedEventAttributes?.identity ?? last;
  }
  return { activities, last };
}

const isBy = (worker: WorkerProcess) => expect.stringMatching(new RegExp(`^${worker.pid}@`)) as string;

describe('a worker that is told to stop', () => {
  test('lets its step end, is not ready meanwhile, ends with 0, and the next worker carries on', async () => {
    await appSecret('graceful');
    const first = await bed.startWorker();
    const { handle, goOn } = await rotationWithStepUnderWay('graceful');
    const stopped = first.kill('SIGTERM');
    await until('it is not ready any more', async () => (await health(first, '/readyz')).status === 503);
    expect((await health(first, '/healthz')).status).toBe(200);
    expect(first.output()).not.toContain('worker-stopped');
    await goOn();
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(first.output()).toContain('"event":"worker-stopped"');
    expect((await handle.describe()).status.name).toBe('RUNNING');

    const second = await bed.startWorker();
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    const { activities, last } = await workersOf(handle);
    for (const [activity, identity] of activities) {
      expect({ activity, identity }).toEqual({
        activity,
        identity: isBy(activity === 'recordOutcome' ? second : first),
      });
    }
    expect(last).toEqual(isBy(second));
    await second.stop();
  });

  test('twice ends at once, and the next worker carries on', async () => {
    await appSecret('hasty');
    const first = await bed.startWorker();
    const { handle, goOn } = await rotationWithStepUnderWay('hasty');
    const ended = first.kill('SIGTERM');
    await until('it heard the first', async () => (await health(first, '/readyz')).status === 503);
    expect(await first.kill('SIGTERM')).toEqual({ code: null, signal: 'SIGTERM' });
    await ended;
    await goOn();
    const second = await bed.startWorker();
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    await second.stop();
  });
});

test('a step that never ends is cut off after 25 s, before a SIGKILL would do it without a word, and ends with 1', async () => {
  const { output, exited } = await neverEnding;
  expect(await exited).toEqual({ code: 1, signal: null });
  const errors = linesOf(output()).filter(({ level }) => level === 'error');
  expect(errors).toEqual([
    expect.objectContaining({
      error: expect.objectContaining({ name: 'GracefulShutdownPeriodExpiredError' }) as unknown,
    }),
  ]);
});

describe('a worker at work', () => {
  let worker: WorkerProcess;
  beforeAll(async () => {
    worker = await bed.startWorker();
  });
  afterAll(() => worker.stop());

  test('is alive and ready', async () => {
    expect(await health(worker, '/healthz')).toEqual({ status: 200, body: { status: 'alive' } });
    expect(await health(worker, '/readyz')).toEqual({
      status: 200,
      body: {
        status: 'ready',
        checks: [
          { name: 'worker', ok: true },
          { name: 'temporal', ok: true },
        ],
      },
    });
  });

  test('counts rotations by outcome and measures how long they take, for Prometheus', async () => {
    await appSecret('counted');
    await bed.rotate('counted');
    await bed.rotate('counted');
    await failureOf(bed.rotate('counted', { gracePeriod: '1 day' }));
    const { metricsAddress } = await worker.ready;
    const metrics = await until('the counters are there', async () => {
      const text = await fetch(`http://${metricsAddress}/metrics`).then((answer) => answer.text());
      return /outcome="rotated"/.test(text) && /outcome="refused"/.test(text) && text;
    });
    const value = (name: string, outcome: string, type: string) =>
      metrics.split('\n').find((line) => {
        const labels = [`environment="${bed.environment}"`, `outcome="${outcome}"`, `type="${type}"`];
        return line.startsWith(`${name}{`) && labels.every((label) => line.includes(label));
      });
    expect(value('keyturn_rotations', 'rotated', 'app-secret')).toMatch(/\} 2$/);
    expect(value('keyturn_rotations', 'refused', 'unknown')).toMatch(/\} 1$/);
    expect(value('keyturn_rotation_duration_count', 'rotated', 'app-secret')).toMatch(/\} 2$/);
    expect(value('keyturn_rotation_duration_sum', 'rotated', 'app-secret')).toMatch(/\} 0\.\d+$|\} [1-9]\d?(\.\d+)?$/);
    const ends = metrics
      .split('\n')
      .filter((line) => line.startsWith('keyturn_rotation_duration_bucket{') && line.includes('type="app-secret"'))
      .filter((line) => line.includes('outcome="rotated"') && line.includes(`environment="${bed.environment}"`))
      .map((line) => /le="([^"]+)"/.exec(line)?.[1] ?? '');
    const days = [1, 3, 7, 8, 14, 30].map((n) => n * 86_400);
    const seconds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, ...days];
    expect(ends).toEqual([...seconds.map(String), '+Inf']);
    expect(metrics).toContain('temporal_worker_task_slots_available');
  });

  test('writes nothing but JSON lines, each with time, level, service and message', () => {
    const lines = linesOf(worker.output());
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) {
      expect(line).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
        level: expect.stringMatching(/^(debug|info|warn|error)$/) as string,
        service: 'keyturn',
        pid: worker.pid,
        message: expect.any(String) as string,
      });
    }
    expect(lines).toContainEqual(expect.objectContaining({ event: 'worker-ready', taskQueue: bed.taskQueue }));
  });

  test('takes a catalog that is broken for a refusal, and goes on when it is mended', async () => {
    await appSecret('declared');
    await bed.writeCatalog('environments: [');
    const refused = await failureOf(bed.rotate('declared'));
    expect(refused).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'CatalogInvalid' } } });
    await bed.declare({});
    expect(await bed.rotate('declared')).toMatchObject({ outcome: 'rotated' });
  });

  test.each([
    ['nothing', []],
    ['null', [null]],
    ['a text', ['dev/database/app']],
    ['a number', [42]],
    ['a list', [['dev', 'database/app']]],
    ['fields of other types', [{ environment: 1, secret: true }]],
  ])('takes %s for an input that is refused, and not for a reason to try again', async (_what, args) => {
    for (const workflowType of ['rotateAppSecret', 'rotateDatabaseCredential', 'rollbackSecret', 'rotate']) {
      const workflowId = `${bed.environment}-nonsense`;
      const handle = await bed.client.workflow.start(workflowType, { taskQueue: bed.taskQueue, workflowId, args });
      const { message } = await failureOf(handle.result());
      expect({ workflowType, message }).toEqual({
        workflowType,
        message: expect.stringContaining(
          'Expected for example {"environment": "dev", "secret": "database/app"}',
        ) as string,
      });
    }
  });
});

describe('a bad secret', () => {
  const SILENT = Array.from({ length: 12 }, (_, n) => `silent-${n}`);
  const MALFORMED = {
    'no-json': 'canary-no-json',
    'no-object': '["canary-no-object"]',
    'no-host': '{"password":"canary-no-host"}',
  };
  const database = { type: 'database', strategy: 'single-user', sslmode: 'disable' } as const;

  test('neither stops a worker nor holds up others, be it malformed or its target silent', async () => {
    const [worker, silent] = [await bed.startWorker(), await startWireTap(bed.databases.port)];
    inFront.push(silent);
    silent.mode = 'silent';
    await bed.databases.singleUser('good');
    for (const [secret, text] of Object.entries(MALFORMED)) await bed.secrets.create(secret, text);
    for (const secret of SILENT) {
      const login = {
        engine: 'postgres',
        host: '127.0.0.1',
        port: silent.port,
        username: 'app',
        password: `canary-${secret}`,
      };
      await bed.secrets.create(secret, JSON.stringify(login));
    }
    const bad = [...Object.keys(MALFORMED), ...SILENT];
    await bed.declare(Object.fromEntries(bad.map((secret) => [secret, database])));

    const ends = await Promise.all(bad.map((secret) => bed.start(secret))).then((handles) =>
      handles.map((handle) => failureOf(handle.result())),
    );
    const startedAt = Date.now();
    expect(await bed.rotate('good')).toMatchObject({ outcome: 'rotated' });
    expect(Date.now() - startedAt).toBeLessThan(STEP_TIMEOUT_MS);
    expect(silent.connections.length).toBeGreaterThan(0);

    for (const { type, details } of await Promise.all(ends)) {
      expect(type).toBe('RotationRefused');
      expect(details).toMatchObject({
        cause: { type: expect.stringMatching(/^(SecretUnusable|TargetUnavailable)$/) as string },
      });
    }
    expect((await health(worker, '/readyz')).status).toBe(200);
    expect(await bed.rotate('good')).toMatchObject({ outcome: 'rotated' });
    await worker.stop();
  });
});

test('while Temporal does not answer a worker is alive and not ready; then it carries on by itself', async () => {
  await appSecret('outage');
  const [, port = ''] = (process.env.TEMPORAL_ADDRESS ?? '').split(':');
  const proxy = await startFaultProxy(Number(port));
  inFront.push(proxy);
  const worker = await bed.startWorker({ TEMPORAL_ADDRESS: `127.0.0.1:${proxy.port}` });
  const { handle, goOn } = await rotationWithStepUnderWay('outage');
  await proxy.refuse();
  const { body } = await until('it is not ready', async () => {
    const found = await health(worker, '/readyz');
    return found.status === 503 && found;
  });
  expect(body.checks).toContainEqual({
    name: 'temporal',
    ok: false,
    problem: expect.stringContaining('does not answer') as string,
  });
  expect((await health(worker, '/healthz')).status).toBe(200);
  await goOn();
  await proxy.accept();
  await until('it is ready again', async () => (await health(worker, '/readyz')).status === 200);
  expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  await worker.stop();
});

test('two workers share the work', async () => {
  const workers = [await bed.startWorker(), await bed.startWorker()];
  const secrets = Array.from({ length: 10 }, (_, n) => `shared-${n}`);
  for (const secret of secrets) await appSecret(secret);
  const seen = new Set<number>();
  await until('both have worked', async () => {
    const handles = await Promise.all(secrets.map((secret) => bed.start(secret)));
    for (const handle of handles) {
      expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
      seen.add(Number.parseInt((await workersOf(handle)).last, 10));
    }
    return workers.every(({ pid }) => seen.has(pid));
  });
  await Promise.all(workers.map((worker) => worker.stop()));
});

test('a worker that cannot reach Temporal for a minute says so in one message, and ends with 1', async () => {
  const { output, exited } = await unreachable;
  expect(await exited).toEqual({ code: 1, signal: null });
  const lines = output().trim().split('\n');
  expect(lines.at(-1)).toMatch(
    /^Temporal cannot be reached at 127\.0\.0\.1:\d+ within 60 s \(.+\)\. Nothing was started\. Check that the server is up/,
  );
  const retries = lines.filter((line) => line.includes('Temporal cannot be reached yet'));
  expect(retries.length).toBeGreaterThan(5);
  expect(retries.length).toBeLessThan(30);
});
