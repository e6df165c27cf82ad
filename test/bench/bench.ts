/** `npm run bench`: what a rotation costs, against the same calls made directly in the same run. `--json` for programs. */
import { PartUnavailable } from '../lab/part';
import { countCalls } from './calls';
import { measureFootprints } from './history';
import { describeMachine, load } from './machine';
import { watchMemory } from './memory';
import { measureOverhead } from './overhead';
import { measureRecovery } from './recovery';
import { reportText } from './report';
import type { Measurements } from './report';
import { openStage } from './stage';
import { measureThroughput } from './throughput';

/** The results alone go to stdout. */
const say = (line: string): void => console.error(line);

async function measure(): Promise<Measurements> {
  const startedAt = performance.now();
  const loadBefore = load();
  const stage = await openStage(say);
  try {
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
    const tookSeconds = (performance.now() - startedAt) / 1_000;
    return {
      machine: await describeMachine(stage),
      load: { before: loadBefore, after: load() },
      calls,
      overhead,
      throughput,
      footprints,
      memory: resident,
      recovery,
      tookSeconds,
    };
  } finally {
    await stage.close();
  }
}

const asJson = process.argv.includes('--json');

measure().then(
  (measured) => {
    console.log(asJson ? JSON.stringify(measured, undefined, 2) : `\n${reportText(measured)}`);
    process.exit();
  },
  (error: unknown) => {
    console.error(error instanceof PartUnavailable ? `\n${error.message}` : error);
    process.exit(1);
  },
);
