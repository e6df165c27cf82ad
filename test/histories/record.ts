import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startLab } from '../lab/lab';
import type { Lab } from '../lab/lab';
import { projectFile } from '../lab/project';
import { createBackupPlace } from '../testbed/backups';
import { openTestbed } from '../testbed/testbed';
import { eventRecordings } from './event-recordings';
import { fleetRecordings } from './fleet-recordings';
import type { RecordedRun } from './fleet-recordings';
import { recordings } from './recordings';
import { refusalRecordings } from './refusal-recordings';

const FOLDER = projectFile('test', 'histories');

/**
 * Records the histories that this folder lacks, from real rotations in a lab of their own: `npm run histories`. To have one recorded
 * anew, delete it first.
 */
async function main(): Promise<void> {
  const lab = await startLab({ report: (line) => console.log(line) });
  try {
    Object.assign(process.env, lab.env, { LAB_WORKER_AUDIT_URL: lab.auditDatabase.workerUrl });
    const histories = await record(lab);
    for (const [name, text] of histories) await writeFile(join(FOLDER, `${name}.json`), text);
  } finally {
    await lab.stop();
  }
}

/** @throws Error when a history holds a secret value. */
async function record(lab: Lab): Promise<Map<string, string>> {
  const histories = new Map<string, string>();
  const place = await createBackupPlace({ beforeRotation: true });
  const bed = await openTestbed(place.policy);
  try {
    await bed.startWorker();
    const recorded = new Set(await readdir(FOLDER));
    const all: Record<string, () => Promise<RecordedRun>> = {
      ...recordings({ bed, lab }),
      ...eventRecordings(bed),
      ...fleetRecordings(),
      ...refusalRecordings(),
    };
    for (const [name, run] of Object.entries(all)) {
      if (recorded.has(`${name}.json`)) continue;
      const { workflowId, runId, history: fetched } = await run();
      const history = fetched ?? (await bed.client.workflow.getHandle(workflowId, runId).fetchHistory());
      histories.set(name, withoutTraces(JSON.stringify({ workflowId, history })));
      console.log(`recorded ${name}: ${history.events?.length} events`);
    }
  } finally {
    await bed.close();
    place.close();
  }
  return histories;
}

/** Without what tells of the machine: who polled from which host, and where its files are. */
function withoutTraces(text: string): string {
  const cleaned = JSON.parse(text, (name, value: unknown) => {
    if (typeof value !== 'string') return value;
    if (name === 'identity') return 'keyturn';
    if (name === 'stackTrace') return '';
    // A worker's own queue is named after its process and host.
    return name === 'name' ? value.replace(/^\d+@[^/]+/, 'keyturn') : value;
  }) as unknown;
  return `${JSON.stringify(cleaned, null, 1)}\n`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
