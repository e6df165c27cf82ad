import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { WorkflowHandle } from '@temporalio/client';
import { builtWorkflowBundle } from '../src/runtime/workflow-bundles';
import { freePort, LOOPBACK } from './lab/ports';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import { fleetOf } from './testbed/fleets';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import type { ReceivedSpan, TraceReceiver } from './testbed/trace-receiver';
import { startTraceReceiver } from './testbed/trace-receiver';
import { until } from './testbed/until';

/** Prints when a process ends what it had loaded of OpenTelemetry. */
const PROBE = `process.on('exit', () => process.stderr.write(
  'loaded: ' + Object.keys(require.cache).filter((file) => /opentelemetry/.test(file)).length + '\\n'));`;
const ERROR = 2;

let bed: Testbed;
let cli: Cli;
let collector: TraceReceiver;
let directory: string;

beforeAll(async () => {
  // Of replaying.
  const logging = { filter: { core: 'ERROR', other: 'ERROR' } } as const;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  bed = await openTestbed();
  cli = createCli(bed);
  collector = await startTraceReceiver();
  bed.alsoStop(collector);
  directory = await mkdtemp(join(tmpdir(), 'keyturn-test-'));
  await bed.declareNotifications({ channels: { log: { type: 'log' } }, routes: [{ channels: ['log'] }] });
});
afterAll(async () => {
  await cli.stop();
  await rm(directory, { recursive: true });
  bed.alsoScan('the traces', collector.text());
  await bed.close();
});

async function appSecret(secret: string): Promise<string> {
  await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.declare({ [secret]: { type: 'app-secret' } });
  return bed.secrets.idOf(secret);
}

const named = (name: string) => (span: ReceivedSpan) => span.name === name;

/** The trace in which a workflow ran, once the span of its run has come. */
async function traceOf(workflowId: string): Promise<ReceivedSpan[]> {
  const { traceId } = await until(`the run of ${workflowId} has come`, () => {
    const runs = collector.spans().filter(({ name }) => name.startsWith('RunWorkflow:'));
    return Promise.resolve(runs.findLast(({ attributes }) => attributes['temporalWorkflowId'] === workflowId));
  });
  return until('every span has its parent', () => {
    const spans = collector.spans().filter((span) => span.traceId === traceId);
    const ids = new Set(spans.map(({ spanId }) => spanId));
    const whole = spans.every(({ parentSpanId }) => parentSpanId === undefined || ids.has(parentSpanId));
    return Promise.resolve(whole && spans);
  });
}

/** The names of the spans from the first of the trace down to this one. */
function pathTo(span: ReceivedSpan, trace: ReceivedSpan[]): string[] {
  const parent = trace.find(({ spanId }) => spanId === span.parentSpanId);
  return [...(parent ? pathTo(parent, trace) : []), span.name];
}

const handleOf = (secret: string) => bed.client.workflow.getHandle(`rotation/${bed.environment}/${secret}`);
const hasTraceHeader = async (handle: WorkflowHandle) =>
  JSON.stringify(await handle.fetchHistory()).includes('"_tracer-data"');

describe('with an endpoint', () => {
  let stop: () => Promise<unknown>;
  beforeAll(async () => {
    const worker = await bed.startWorker(collector.env);
    stop = () => worker.stop();
  });
  afterAll(() => stop());

  test('one trace goes from the command through the workflow and its activities to the calls of AWS', async () => {
    const id = await appSecret('traced');
    const { code } = await cli.run(['rotate', id], collector.env);
    expect(code).toBe(0);
    const trace = await traceOf(`rotation/${id}`);
    expect(trace.filter(({ parentSpanId }) => parentSpanId === undefined)).toEqual([
      expect.objectContaining({ service: 'keyturn', name: 'StartWorkflow:rotateAppSecret' }),
    ]);
    const put = trace.find(named('Secrets Manager.PutSecretValue')) as ReceivedSpan;
    expect(pathTo(put, trace)).toEqual([
      'StartWorkflow:rotateAppSecret',
      'RunWorkflow:rotateAppSecret',
      'StartActivity:createCandidate',
      'RunActivity:createCandidate',
      'Secrets Manager.PutSecretValue',
    ]);
    expect(put.service).toBe('keyturn-worker');
    expect(put.attributes).toEqual({
      'keyturn.system': 'secretsmanager',
      'keyturn.operation': 'PutSecretValue',
      'keyturn.outcome': 'ok',
      'rpc.system': 'aws-api',
      'rpc.service': 'Secrets Manager',
      'rpc.method': 'PutSecretValue',
    });
    expect(trace.find(named('RunActivity:createCandidate'))?.attributes).toMatchObject({
      'keyturn.secret': id,
      'keyturn.step': 'createCandidate',
      temporalWorkflowId: `rotation/${id}`,
    });
    // Looking changes nothing and happens twice a second.
    expect(collector.spans().filter(({ name }) => /QueryWorkflow|HandleQuery|DescribeWorkflow/.test(name))).toEqual([]);
    await until('the news is part of the trace', async () =>
      (await traceOf(`rotation/${id}`)).some(named('RunWorkflow:notifyPeople')),
    );
  });

  test('of a database, the trace names the calls and no statement', async () => {
    await bed.databases.singleUser('app');
    await bed.rotate('app');
    const trace = await traceOf(`rotation/${bed.secrets.idOf('app')}`);
    const calls = trace.filter(({ attributes }) => attributes['keyturn.system'] === 'postgresql');
    expect(calls.map(({ name }) => name)).toContain('postgresql login');
    expect(JSON.stringify(calls)).not.toMatch(/SCRAM|\$1|PASSWORD '/);
  });

  test('a rotation that nobody has traced begins a trace that is named after its run', async () => {
    await appSecret('scheduled');
    const handle = await bed.start('scheduled');
    await handle.result();
    const [{ traceId } = { traceId: '' }] = await traceOf(handle.workflowId);
    expect(traceId).toBe(handle.firstExecutionRunId.replaceAll('-', ''));
  });

  test("a fleet's rotations are in its trace", async () => {
    await appSecret('of-a-fleet');
    const { code } = await cli.run(['rotate', bed.environment, '--all', '--emergency'], collector.env);
    expect(code).toBe(0);
    const trace = await traceOf(fleetOf(bed, { emergency: true }).workflowId);
    const rotations = trace.filter(({ name }) => /^RunWorkflow:rotate(App|Database)/.test(name));
    expect(rotations.length).toBeGreaterThan(2);
    expect(trace.filter(({ parentSpanId }) => parentSpanId === undefined)).toHaveLength(1);
  });

  test('a failure is an error with its cause and message, and without a stack', async () => {
    const id = await appSecret('failing');
    const shop = await startDependent('shop', '1 second');
    bed.alsoStop(shop);
    shop.answer(async () => ((await bed.secrets.labels('failing')).previous === undefined ? 200 : 500));
    await bed.declare({ failing: { type: 'app-secret', dependents: [shop.declaration] } });
    expect(await failureOf(bed.rotate('failing'))).toMatchObject({ type: 'RotationRolledBack' });
    const run = (await traceOf(`rotation/${id}`)).find(named('RunWorkflow:rotateAppSecret'));
    expect(run).toMatchObject({
      status: { code: ERROR, message: expect.stringContaining(id) as string },
      attributes: { 'error.type': 'RotationRolledBack' },
      events: [{ name: 'exception', attributes: { 'exception.message': expect.stringContaining(id) as string } }],
    });
    expect(collector.text()).not.toMatch(/stacktrace|\.js:\d+/);
  });

  test('what an operator asks of a rotation is a trace from the command to where it is handled', async () => {
    const secretId = await appSecret('aborted');
    const point = { secretId, step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('aborted');
    await bed.pauses.reached(point);
    expect(await cli.run(['abort', secretId, '--reason', 'a drill'], collector.env)).toMatchObject({ code: 0 });
    await bed.pauses.goOn(point);
    expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
    const handled = await until('it is traced', () =>
      Promise.resolve(collector.spans().find(named('HandleUpdate:abort'))),
    );
    const asked = collector.spans().find(({ spanId }) => spanId === handled.parentSpanId);
    expect(asked).toMatchObject({ service: 'keyturn', name: 'StartWorkflowUpdate:abort', traceId: handled.traceId });
    expect(collector.text()).not.toContain('a drill');
  });

  test('what was made with tracing replays without, and has a trace in its headers', async () => {
    const handles = [
      ...['traced', 'app', 'failing', 'aborted'].map(handleOf),
      fleetOf(bed, { emergency: true }).handle(),
    ];
    for (const handle of handles) {
      expect(await hasTraceHeader(handle)).toBe(true);
      const history = await handle.fetchHistory();
      await Worker.runReplayHistory({ workflowBundle: builtWorkflowBundle('plain') }, history, handle.workflowId);
    }
  });
});

describe('a collector that', () => {
  test('is down changes nothing, and is one line in the log', async () => {
    const endpoint = `http://${LOOPBACK}:${await freePort()}`;
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '50' };
    const worker = await bed.startWorker({ ...env, OTEL_EXPORTER_OTLP_TIMEOUT: '200' });
    const id = await appSecret('untraceable');
    for (let turn = 0; turn < 3; turn += 1) {
      const { code, stderr } = await cli.run(['rotate', id, '--emergency'], env);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringMatching(/ollector|OTEL|ECONN/) as string });
    }
    await until('the log says it', () => Promise.resolve(worker.output().includes('"event":"traces-not-sent"')));
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
    expect(worker.output().match(/traces-not-sent/g)).toHaveLength(1);
    expect(worker.output()).not.toMatch(/"level":"error"/);
  });

  test('never answers holds up neither the rotation nor the end of command and worker', async () => {
    const silent = await startTraceReceiver();
    bed.alsoStop(silent);
    silent.fallSilent();
    const worker = await bed.startWorker(silent.env);
    const id = await appSecret('unanswered');
    expect(await cli.run(['rotate', id], silent.env)).toMatchObject({ code: 0 });
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });
});

test('a rotation goes on when a worker without tracing is replaced by one with it, and the other way round', async () => {
  for (const [secret, first, second] of [
    ['from-plain', {}, collector.env],
    ['from-traced', collector.env, {}],
  ] as const) {
    const secretId = await appSecret(secret);
    const before = await bed.startWorker(first);
    const point = { secretId, step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);
    await before.kill();
    await bed.pauses.goOn(point);
    const after = await bed.startWorker(second);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    await after.stop();
  }
});

test('where payloads are encrypted a failure has a type and no message', async () => {
  const kms = new KMSClient({});
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({})).finally(() => kms.destroy());
  const env = { ...collector.env, KEYTURN_PAYLOAD_KMS_KEY: KeyMetadata?.KeyId ?? '' };
  const worker = await bed.startWorker(env);
  const id = `${bed.environment}/never-stored`;
  await bed.declare({ 'never-stored': { type: 'database', strategy: 'single-user' } });
  expect(await cli.run(['rotate', id], env)).toMatchObject({ code: 3 });
  const trace = await traceOf(`rotation/${id}`);
  expect(trace.find(named('RunWorkflow:rotateDatabaseCredential'))).toMatchObject({
    status: { code: ERROR, message: '' },
    attributes: { 'error.type': 'RotationRefused' },
    events: [{ attributes: { 'exception.type': 'RotationRefused' } }],
  });
  expect(trace.filter(({ status, events }) => status.message || /message/.test(JSON.stringify(events)))).toEqual([]);
  await worker.stop();
});

test('without an endpoint nothing of OpenTelemetry is loaded, and no header is added', async () => {
  const probe = join(directory, 'probe.js');
  await writeFile(probe, PROBE);
  const env = { NODE_OPTIONS: `--require ${probe}`, OTEL_SERVICE_NAME: 'keyturn', OTEL_TRACES_SAMPLER: 'no such' };
  const worker = await bed.startWorker(env);
  const id = await appSecret('off');
  const { code, stderr } = await cli.run(['rotate', id], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('loaded: 0\n') as string });
  await worker.stop();
  expect(worker.output()).toMatch(/^loaded: 0$/m);
  expect(await hasTraceHeader(handleOf('off'))).toBe(false);
});

test('a setting that is wrong is refused by name, before anything is started', async () => {
  const env = { ...collector.env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const { code, stderr } = await cli.run(['status'], env);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining("OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; expected http/protobuf") as string,
  });
});
