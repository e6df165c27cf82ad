import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { Client as PgClient } from 'pg';

export interface Scanned {
  client: Client;
  environment: string;
  taskQueue: string;
  /** The canaries: every value that was stored or used. */
  values: string[];
  /** Logs, metrics, CLI output. */
  texts: { name: string; text: string }[];
}

/**
 * Looks for secret values in all that left the activities: every history of the environment's workflows (as JSON, and with its
 * payloads decoded), memos, search attributes, the audit log, and the given texts.
 *
 * @throws Error that says where a value was found, without the value.
 */
export async function scanForValues({ client, environment, taskQueue, values, texts }: Scanned): Promise<void> {
  const places = [...texts, ...(await histories(client, taskQueue)), await auditRecords(environment)];
  const leaks = new Set<string>();
  for (const value of new Set(values.filter((candidate) => candidate.length >= 8))) {
    for (const [form, needle] of formsOf(value)) {
      for (const { name, text } of places) {
        if (text.includes(needle)) leaks.add(`${name} holds a secret value (${form})`);
      }
    }
  }
  if (leaks.size > 0) throw new Error([...leaks].join('\n'));
}

/** A value and what it can be derived from: encodings at each base64 offset, and unsalted or known-salt digests. */
export function formsOf(value: string): [form: string, needle: string][] {
  const bytes = Buffer.from(value);
  const digest = (algorithm: string, salt = '') => createHash(algorithm).update(salt).update(bytes);
  const forms: [string, string][] = [
    ['in clear', value],
    ['JSON-escaped', JSON.stringify(value).slice(1, -1)],
    ['URL-encoded', encodeURIComponent(value)],
    ['hex', bytes.toString('hex')],
    ...[0, 1, 2].map((offset): [string, string] => ['base64', base64Core(bytes, offset)]),
  ];
  for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512']) {
    for (const salt of ['', 'keyturn', 'salt']) {
      forms.push([`${algorithm}, hex`, digest(algorithm, salt).digest('hex')]);
      forms.push([`${algorithm}, base64`, digest(algorithm, salt).digest('base64')]);
    }
  }
  return forms.filter(([, needle]) => needle.length >= 8);
}

/** The part of a base64 text that does not depend on what stands before and after the value. */
function base64Core(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const first = Math.ceil((offset * 8) / 6);
  return text.slice(first, Math.floor(((offset + bytes.length) * 8) / 6));
}

async function histories(client: Client, taskQueue: string): Promise<{ name: string; text: string }[]> {
  const places: { name: string; text: string }[] = [];
  for await (const execution of client.workflow.list({ query: `TaskQueue = '${taskQueue}'` })) {
    const handle = client.workflow.getHandle(execution.workflowId, execution.runId);
    const history = await handle.fetchHistory();
    const description = await handle.describe();
    const text = [JSON.stringify(history), ...decoded([history, description.memo, description.searchAttributes])].join(
      '\n',
    );
    places.push({ name: `the history of ${execution.workflowId} (${execution.runId})`, text });
  }
  return places;
}

/** All texts in a message of the server, payloads decoded to what they say. */
function* decoded(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (value instanceof Uint8Array) yield Buffer.from(value).toString('utf8');
  else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) yield* decoded(part);
  }
}

async function auditRecords(environment: string): Promise<{ name: string; text: string }> {
  const client = new PgClient({ connectionString: process.env['KEYTURN_AUDIT_DATABASE_URL'] });
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
