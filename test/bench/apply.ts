import { writeFile } from 'node:fs/promises';
import { lastLines, runToEnd } from '../lab/processes';
import { projectFile } from '../lab/project';
import { declareFleet, fleetEnvironment } from './fleet-subjects';
import type { Stage } from './stage';
import { timed } from './statistics';

const APPLIED_WITHIN_MS = 10 * 60_000;

/** `keyturn apply` as an operator runs it, with the start of the program. */
export interface ApplyFigures {
  /** One for each secret; the weekly run is one more. */
  schedules: number;
  firstSeconds: number;
  /** Without anything to change. */
  secondSeconds: number;
  /** Of all of them. */
  deletionSeconds: number;
}

export async function measureApply(stage: Stage, catalog: string, schedules: number): Promise<ApplyFigures> {
  const seconds = async () => (await timed(() => apply(stage))) / 1_000;
  await declareFleet(catalog, fleetEnvironment('schedules'), schedules);
  try {
    const firstSeconds = await seconds();
    const secondSeconds = await seconds();
    await writeFile(catalog, 'environments: {}\n');
    return { schedules, firstSeconds, secondSeconds, deletionSeconds: await seconds() };
  } catch (error) {
    // A server that outlives the bench must not begin to rotate what is not there.
    await writeFile(catalog, 'environments: {}\n');
    await apply(stage).catch(() => undefined);
    throw error;
  }
}

async function apply({ workerEnv }: Stage): Promise<void> {
  const { succeeded, output } = await runToEnd(
    process.execPath,
    [projectFile('dist', 'src', 'client', 'cli.js'), 'apply', '--json'],
    APPLIED_WITHIN_MS,
    { env: { ...process.env, ...workerEnv } },
  );
  if (!succeeded) throw new Error(`keyturn apply failed: ${lastLines(output)}`);
}
