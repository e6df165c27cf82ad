import { countCalls } from './calls';
import type { RotationCalls } from './calls';
import { measureFootprints } from './history';
import type { Footprint } from './history';
import { watchMemory } from './memory';
import type { Memory } from './memory';
import { measureOverhead } from './overhead';
import type { Overhead } from './overhead';
import { measureRecovery } from './recovery';
import type { Recovery } from './recovery';
import type { Stage } from './stage';
import { measureThroughput } from './throughput';
import type { Throughput } from './throughput';

/** What whole rotations cost. */
export interface RotationFigures {
  calls: RotationCalls;
  overhead: Overhead;
  throughput: Throughput[];
  footprints: Footprint[];
  memory: Memory;
  recovery: Recovery;
}

/** @param say takes the progress. */
export async function measureRotations(stage: Stage, say: (line: string) => void): Promise<RotationFigures> {
  const memory = await watchMemory(stage.worker.pid);
  say('counting the calls of a rotation');
  const calls = await countCalls(stage);
  say('measuring the overhead');
  const overhead = await measureOverhead(stage);
  say('looking at histories');
  const footprints = await measureFootprints(stage);
  say('measuring throughput and memory');
  const throughput = await measureThroughput(stage, memory.during);
  const resident = await memory.end();
  say('measuring recovery after SIGKILL');
  const recovery = await measureRecovery(stage);
  return { calls, overhead, throughput, footprints, memory: resident, recovery };
}
