import { readdirSync, readFileSync } from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { createActivities } from '../src/activities';
import type { ActivityDependencies } from '../src/activities';
import { builtWorkflowBundle } from '../src/runtime/workflow-bundles';
import type { BundleKind } from '../src/runtime/workflow-bundles';
import * as workflows from '../src/workflows';
import { PROJECT_ROOT } from './lab/project';
import { textOf } from './testbed/scan';

/**
 * Rotations may be under way for weeks while workers are replaced, so today's workflows must be able to take up yesterday's. The
 * histories are of real rotations, and none is recorded anew to make a change pass; `npm run histories` adds what is missing.
 */
const FOLDER = join(__dirname, 'histories');
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

interface Recorded {
  workflowId: string;
  history: temporal.api.history.v1.IHistory;
}

const textOfFile = (name: string) => readFileSync(join(FOLDER, `${name}.json`), 'utf8');

function recorded(text: string): Recorded {
  const { workflowId, history } = JSON.parse(text) as { workflowId: string; history: Record<string, unknown> };
  return { workflowId, history: temporal.api.history.v1.History.fromObject(history) };
}

async function replay({ history, workflowId }: Recorded, kind: BundleKind = 'plain'): Promise<void> {
  const keyturnTracing = { export: { fn: () => undefined } };
  await Worker.runReplayHistory(
    { workflowBundle: builtWorkflowBundle(kind), sinks: { keyturnTracing } },
    history,
    workflowId,
  );
}

beforeAll(() => {
  // The core says of a history that it does not match, which one test is about.
  const logging = { filter: { core: 'ERROR', other: 'ERROR' } } as const;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
});

test.each(NAMES)('%s: the workflows of today do what they did then', async (name) => {
  await replay(recorded(textOfFile(name)));
});

test.each(NAMES)('%s: so do they with tracing', async (name) => {
  await replay(recorded(textOfFile(name)), 'plain-traced');
});

test.each(NAMES)('%s: the history holds nothing of the machine that it was recorded on', (name) => {
  const text = textOf(recorded(textOfFile(name)));
  for (const trace of [
    PROJECT_ROOT,
    tmpdir(),
    homedir(),
    '/node_modules/',
    '.js:',
    '.ts:',
    'SCRAM-SHA-256',
    `@${hostname()}`,
  ]) {
    expect(text).not.toContain(trace);
  }
});

test('a history that the workflows of today would not make is found out', async () => {
  const text = textOfFile('single-user-rotated');
  const changed = text.replaceAll('"createCandidate"', '"draftCandidate"');
  expect(changed).not.toBe(text);
  await expect(replay(recorded(changed))).rejects.toThrow(DeterminismViolationError);
});

test('every workflow and every activity is in some history', () => {
  const all = textOf(NAMES.map((name) => recorded(textOfFile(name))));
  for (const workflow of Object.keys(workflows)) expect(all).toContain(`"name":"${workflow}"`);
  const activities = Object.keys(createActivities({ rotations: {} } as ActivityDependencies));
  const missing = activities.filter(
    (type) => !all.includes(`"name":"${type}"`) && !all.includes(`"activity_type":"${type}"`),
  );
  expect(missing).toEqual([]);
});
