import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { inLanes } from '../src/rotation/in-lanes';
import { runToEnd } from './lab/processes';
import type { WorkerProcess } from './lab/worker-process';
import { createCli } from './testbed/cli-process';
import { leakScenarios } from './testbed/leak-scenarios';
import { startQuotingAws } from './testbed/quoting-aws';
import type { QuotingAws } from './testbed/quoting-aws';
import { auditRecords, histories, leaksIn, textOf } from './testbed/scan';
import type { Place, Run } from './testbed/scan';
import { canariesOf } from './testbed/secrets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { startTraceReceiver } from './testbed/trace-receiver';
import type { TraceReceiver } from './testbed/trace-receiver';
import type { Canary } from './testbed/value-forms';

/** The scenarios' names, known before any of them runs. */
const SCENARIOS = Object.keys(leakScenarios({ bed: { databases: {} } as Testbed, aws: {} as QuotingAws, used() {} }));
const LANES = 10;

let bed: Testbed;
let aws: QuotingAws;
let collector: TraceReceiver;
let worker: WorkerProcess;
const failed = new Map<string, unknown>();
const used: string[] = [];
let canaries: Canary[];
let leaks: string[];
const places: Record<string, Place[]> = {};

beforeAll(async () => {
  bed = await openTestbed();
  aws = await startQuotingAws(bed.env['AWS_ENDPOINT_URL'] ?? '');
  collector = await startTraceReceiver();
  bed.alsoStop(collector);
  worker = await bed.startWorker({ ...collector.env, AWS_ENDPOINT_URL: aws.endpoint, KEYTURN_LOG_LEVEL: 'trace' });
  const scenarios = leakScenarios({ bed, aws, used: (value) => void used.push(value) });
  await inLanes(Object.entries(scenarios), LANES, async ([name, run]) => {
    await run().catch((error: unknown) => failed.set(name, error));
  });
  await collectPlaces();
  canaries = await collectCanaries();
  leaks = await leaksIn(Object.values(places).flat(), canaries);
}, 600_000);
afterAll(async () => {
  await bed.close().finally(() => aws.stop());
});

/** Every value that a secret ever had, also in versions that were deleted, and what PostgreSQL stores in the place of each. */
async function collectCanaries(): Promise<Canary[]> {
  const stored = aws.calls.flatMap(({ body }) => canariesOf(body.SecretString ?? '', body.ClientRequestToken ?? ''));
  const values = [...stored, ...(await bed.secrets.everyValue()), ...used.map((value) => ({ value }))];
  const verifiers = await bed.databases.asSuperuser<{ rolpassword: string }>(
    `SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname LIKE '${bed.environment}%'`,
  );
  return [
    ...values.map((canary): Canary => ({ ...canary, pieces: !canary.value.startsWith('{') })),
    ...verifiers.flatMap(({ rolpassword }) => rolpassword.split(/[$:]/).slice(2)).map((value) => ({ value })),
  ];
}

async function collectPlaces(): Promise<void> {
  const { client, taskQueue, environment } = bed;
  const runs: Run[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: `TaskQueue = '${taskQueue}'` })) {
    runs.push({ workflowId, runId });
  }
  places['what Temporal holds'] = await histories({ client, taskQueue, runs });
  places['the answers to queries'] = await queryAnswers(runs);
  places['what the temporal CLI shows'] = await temporalCli(runs);
  places['what the keyturn CLI shows'] = await keyturnCli();
  places['the audit log'] = [await auditRecords(environment)];
  places['the traces'] = [{ name: 'the traces', text: collector.text() }];
  places["the worker's log"] = [{ name: 'the log', text: worker.output() }];
  places["the worker's pages"] = await pages();
  places["the worker's command line"] = await processTexts();
}

async function queryAnswers(runs: Run[]): Promise<Place[]> {
  const answers: Place[] = [];
  await inLanes(runs, LANES, async ({ workflowId, runId }) => {
    const handle = bed.client.workflow.getHandle(workflowId, runId);
    for (const query of ['status', '__stack_trace', '__enhanced_stack_trace', '__temporal_workflow_metadata']) {
      // The front door has no status.
      const answer = await handle.query<unknown>(query).catch((error: Error) => error.message);
      answers.push({ name: `${query} of ${workflowId}`, text: textOf(answer) });
    }
  });
  return answers;
}

async function temporalCli(runs: Run[]): Promise<Place[]> {
  const binary = process.env['LAB_TEMPORAL_BIN'] ?? 'temporal';
  const shown: Place[] = [];
  // Each start of the CLI takes a while: enough of them to meet every kind of secret and of end.
  const some = runs.filter((_run, n) => n % 8 === 0);
  await inLanes(some, 2, async ({ workflowId, runId }) => {
    const of = ['--workflow-id', workflowId, '--run-id', runId, '-o', 'json'];
    for (const command of ['show', 'describe']) {
      const { succeeded, output } = await runToEnd(binary, ['workflow', command, ...of], 20_000);
      if (!succeeded) throw new Error(`temporal workflow ${command}: ${output}`);
      shown.push({ name: `temporal workflow ${command} of ${workflowId}`, text: output });
    }
  });
  return shown;
}

async function keyturnCli(): Promise<Place[]> {
  const cli = createCli(bed);
  const shown: Place[] = [];
  for (const argv of [
    ['status', bed.secrets.idOf('no-way-in')],
    ['status', bed.secrets.idOf('single'), '--json'],
    ['rotate', bed.secrets.idOf('wrong')],
    ['status', bed.secrets.idOf('key-undeletable')],
    ['status', bed.secrets.idOf('key'), '--json'],
    ['audit', 'list', '--json'],
  ]) {
    const { stdout, stderr } = await cli.run(argv, { ...collector.env, AWS_ENDPOINT_URL: aws.endpoint });
    shown.push({ name: `keyturn ${argv.join(' ')}`, text: `${stdout}\n${stderr}` });
  }
  return shown;
}

async function pages(): Promise<Place[]> {
  const { metricsAddress, healthAddress } = await worker.ready;
  const addresses = [`${metricsAddress}/metrics`, `${healthAddress}/healthz`, `${healthAddress}/readyz`];
  return Promise.all(
    addresses.map(async (address) => ({ name: address, text: await (await fetch(`http://${address}`)).text() })),
  );
}

/** What other users of the machine see of the process, and what its own sees of its environment. */
async function processTexts(): Promise<Place[]> {
  const folder = `/proc/${worker.pid}`;
  if (!existsSync(folder)) {
    return [{ name: 'ps', text: (await runToEnd('ps', ['-o', 'args=', '-p', `${worker.pid}`], 5_000)).output }];
  }
  const files = ['cmdline', 'comm', 'environ'].map((file) => `${folder}/${file}`);
  return Promise.all(files.map(async (file) => ({ name: file, text: await readFile(file, 'utf8') })));
}

test.each(SCENARIOS)('a rotation that %s ends as it must', (name) => {
  if (failed.has(name)) throw failed.get(name);
});

test('enough values were used to look for', () => {
  expect(canaries.length).toBeGreaterThan(3 * SCENARIOS.length);
  expect(aws.calls.length).toBeGreaterThan(10 * SCENARIOS.length);
});

test.each([
  ['what Temporal holds', /AWSCURRENT/],
  ['the answers to queries', /pastPointOfNoReturn/],
  ['what the temporal CLI shows', /workflowExecutionStartedEventAttributes/],
  ['what the keyturn CLI shows', /RollbackIncomplete/],
  ['the audit log', /UpdateSecretVersionStage/],
  ['the traces', /RollbackIncomplete/],
  ["the worker's log", /"level":"trace"/],
  ["the worker's pages", /keyturn_rotations/],
  ["the worker's command line", /worker/],
])('no value, and nothing derived from one, is in %s', (group, whatIsThere) => {
  const names = places[group]?.map(({ name }) => name) ?? [];
  expect(places[group]?.map(({ text }) => text).join('\n')).toMatch(whatIsThere);
  expect(leaks.filter((leak) => names.some((name) => leak.startsWith(name)))).toEqual([]);
});
