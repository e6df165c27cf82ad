import type { Client } from '@temporalio/client';
import { Client as PgClient } from 'pg';
import { inLanes } from '../../src/rotation/in-lanes';
import { Needles } from './needles';
import { formsOf } from './value-forms';
import type { Canary } from './value-forms';

/** Histories that are read at the same time. */
const LANES = 8;

/** Something that left the activities, as text. */
export interface Place {
  name: string;
  text: string;
}

/** One run of a workflow. */
export interface Run {
  workflowId: string;
  runId: string;
}

export interface Scanned {
  client: Client;
  environment: string;
  taskQueue: string;
  /** Runs that are known to be there; the others are found by the task queue. */
  runs: Run[];
  /** Every value that was stored or used. */
  canaries: Canary[];
  /** Logs, metrics, CLI output. */
  texts: Place[];
}

/**
 * Looks for secret values in all that left the activities: every history of the environment's workflows (as JSON, and with its
 * payloads decoded), what the server says of each (memo, search attributes, heartbeats, last failures), the audit log, and the given
 * texts.
 *
 * @throws Error that says where a value was found and in which form, without the value.
 */
export async function scanForValues({ canaries, texts, environment, ...where }: Scanned): Promise<void> {
  const leaks = await leaksIn([...texts, ...(await histories(where)), await auditRecords(environment)], canaries);
  if (leaks.length > 0) throw new Error(leaks.join('\n'));
}

/** What holds a value or anything derived from one, a sentence for each place and form. */
export async function leaksIn(places: Place[], canaries: Canary[]): Promise<string[]> {
  const needles = new Needles();
  for (const canary of uniqueOf(canaries)) {
    for (const form of await formsOf(canary)) needles.add(form);
  }
  return places.flatMap(({ name, text }) =>
    [...needles.formsIn(text)].map((form) => `${name} holds a secret value (${form})`),
  );
}

function uniqueOf(canaries: Canary[]): Iterable<Canary> {
  return new Map(canaries.map((canary) => [JSON.stringify(canary), canary])).values();
}

/** What Temporal holds of the runs: their histories and descriptions. */
export async function histories({ client, taskQueue, runs }: Omit<Scanned, 'environment' | 'canaries' | 'texts'>) {
  const known = new Map(runs.map((run) => [run.runId, run]));
  for await (const { workflowId, runId } of client.workflow.list({ query: `TaskQueue = '${taskQueue}'` })) {
    known.set(runId, { workflowId, runId });
  }
  const places: Place[] = [];
  await inLanes([...known.values()], LANES, async ({ workflowId, runId }) => {
    const handle = client.workflow.getHandle(workflowId, runId);
    const shown = [await handle.fetchHistory(), (await handle.describe()).raw];
    places.push({ name: `the history of ${workflowId} (${runId})`, text: textOf(shown) });
  });
  return places;
}

/** A message of the server as JSON, and all texts in it with payloads decoded to what they say. */
export function textOf(message: unknown): string {
  return [JSON.stringify(message), ...decoded(message)].join('\n');
}

function* decoded(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (value instanceof Uint8Array) yield Buffer.from(value).toString('utf8');
  else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) yield* decoded(part);
  }
}

/** @param url the audit database's. */
export async function auditRecords(
  environment: string,
  url = process.env['KEYTURN_AUDIT_DATABASE_URL'],
): Promise<Place> {
  const client = new PgClient({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ entry: string }>(
      'SELECT entry::text AS entry FROM keyturn_audit.record WHERE entry::text LIKE $1',
      [`%${environment}/%`],
    );
    return { name: 'the audit log', text: rows.map(({ entry }) => entry).join('\n') };
  } finally {
    await client.end();
  }
}
