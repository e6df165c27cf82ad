import { join } from 'node:path';
import { FleetClient } from '../../src/client/fleet-client';
import { secretIdOf } from '../../src/rotation/names';
import { spawnWorker } from '../lab/worker-process';
import { measureApply } from './apply';
import type { ApplyFigures } from './apply';
import { makeTheCallsOfTheAwsSample } from './aws-sample-sequence';
import { makeTheCallsOfTheAwsTemplate } from './aws-template-sequence';
import { createDirectCalls } from './direct-calls';
import {
  createFleetDatabase,
  createFleetSecrets,
  declareFleet,
  fleetEnvironment,
  fleetSecret,
  isDatabase,
} from './fleet-subjects';
import { highestOfEach } from './memory';
import type { Props, Stage } from './stage';
import { timed } from './statistics';
import { TASK_QUEUE } from './subjects';

export const FLEET_SIZES = [100, 1_000, 5_000];
export const SCHEDULES = 1_000;

/** AWS's pattern takes the same time for each secret, however many there are. */
const MOST_BY_THE_PATTERN = 200;
/** More than any worker could write. */
const PACE_LIFTED = '999999';

export interface FleetBench {
  /** How many secrets, for one fleet after another. */
  sizes: number[];
  schedules: number;
  /** Whether the workers keep to their usual pace of writes. */
  paced: boolean;
}

export interface FleetRun {
  secrets: number;
  workers: number;
  seconds: number;
  perSecond: number;
  /** The highest resident memory that was seen, in MiB. */
  workerMiB: number[];
  /** Of the Temporal server; absent where it is not the bench's own. */
  serverMiB?: number;
}

export interface FleetFigures {
  paced: boolean;
  runs: FleetRun[];
  /** AWS's pattern: the four steps, one secret after the other. */
  pattern: { rotations: number; perSecond: number };
  apply: ApplyFigures;
}

/** @param paced see {@link FleetBench}. */
export function fleetProps(paced: boolean): Props {
  return {
    async create(lab, _secretsManager, catalog) {
      await createFleetDatabase(lab);
      await declareFleet(catalog, fleetEnvironment('none'), 1);
    },
    ...(!paced && { settings: { KEYTURN_SECRET_WRITES_PER_SECOND: PACE_LIFTED } }),
  };
}

/** @param say takes the progress. */
export async function measureFleets(
  stage: Stage,
  { sizes, schedules, paced }: FleetBench,
  say: (line: string) => void,
): Promise<FleetFigures> {
  const { lab, secretsManager, workerEnv, directory } = stage;
  const catalog = join(directory, 'keyturn.yaml');
  const byThePattern = Math.min(MOST_BY_THE_PATTERN, Math.max(...sizes));
  const ofThePattern = fleetEnvironment('pattern');
  await createFleetSecrets(lab, secretsManager, ofThePattern, byThePattern);
  let patternMs = 0;
  const runs: FleetRun[] = [];
  for (const secrets of sizes) {
    say(`AWS's pattern: ${byThePattern} secrets, one after the other`);
    patternMs += await timed(() => rotateByThePattern(stage, ofThePattern, byThePattern));
    for (const workers of [1, 2]) {
      const environment = fleetEnvironment(`${secrets}-${workers}`);
      say(`making ${secrets} secrets`);
      await createFleetSecrets(lab, secretsManager, environment, secrets);
      await declareFleet(catalog, environment, secrets);
      say(`a fleet of ${secrets} on ${workers === 1 ? 'one worker' : 'two workers'}`);
      const second = workers === 2 ? await spawnWorker(workerEnv) : undefined;
      try {
        await second?.ready;
        const pids = [stage.worker, ...(second ? [second] : [])].map(({ pid }) => pid);
        runs.push(await measureFleet(stage, environment, secrets, pids));
      } finally {
        await second?.stop();
      }
    }
  }
  say(`applying ${schedules} schedules`);
  const apply = await measureApply(stage, catalog, schedules);
  const rotations = byThePattern * sizes.length;
  return { paced, runs, pattern: { rotations, perSecond: (rotations * 1_000) / patternMs }, apply };
}

async function rotateByThePattern({ secretsManager }: Stage, environment: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const calls = createDirectCalls(secretsManager, secretIdOf(environment, fleetSecret(n)));
    await (isDatabase(n) ? makeTheCallsOfTheAwsSample(calls) : makeTheCallsOfTheAwsTemplate(calls));
  }
}

/** @throws Error when not all were rotated: the time would mean nothing. */
async function measureFleet(
  { lab, temporal }: Stage,
  environment: string,
  secrets: number,
  workerPids: number[],
): Promise<FleetRun> {
  const { pid: serverPid } = lab.temporal;
  const fleets = new FleetClient(temporal, TASK_QUEUE);
  let tookMs = 0;
  const highest = await highestOfEach([...workerPids, ...(serverPid === undefined ? [] : [serverPid])], async () => {
    tookMs = await timed(async () => {
      const run = await fleets.start({ environment, requestedBy: 'bench' });
      const { succeeded, secrets: entries } = await fleets.follow(run, undefined);
      if (succeeded === secrets) return;
      const other = entries.find(({ outcome }) => outcome !== 'rotated');
      throw new Error(`${succeeded} of ${secrets} secrets were rotated; one that was not: ${JSON.stringify(other)}`);
    });
  });
  return {
    secrets,
    workers: workerPids.length,
    seconds: tookMs / 1_000,
    perSecond: (secrets * 1_000) / tookMs,
    workerMiB: highest.slice(0, workerPids.length),
    serverMiB: highest[workerPids.length],
  };
}
