import { table } from '../../src/client/table';
import type { GraceFigures } from './grace';
import { one, section } from './report-parts';

const MANY = 10_000;

/** The grace periods for people, and what their figures come to with ten thousand. */
export function graceSections(measured: GraceFigures): string[] {
  const { rotations, cached, enteredSeconds, memory, quiet, extensions, history } = measured;
  const perSecond = rotations / enteredSeconds;
  const whole = (value: number) => `${Math.round(value)}`;
  return [
    section(
      `${rotations} API keys in their grace period at once, on one worker that keeps ${cached} of them in its cache`,
      table([
        ['until all had entered it', `${one(enteredSeconds)} s (${one(perSecond)} a second)`],
        ['history of one', `${history.events} events, ${history.bytes} bytes`],
        [
          `workflow tasks in ${quiet.seconds} s of waiting`,
          `${quiet.workflowTasks} (${quiet.historyEvents} new events)`,
        ],
        [
          `extendGracePeriod, ${extensions.updates} updates`,
          `median ${one(extensions.medianMs)} ms, 99th percentile ${one(extensions.p99Ms)} ms`,
        ],
      ]),
    ),
    section(
      "The worker's resident memory, in MiB",
      table([
        ['idle', 'while they entered', `${memory.firstWaiting.rotations} waiting`, `${rotations} waiting`, 'extending'],
        [memory.idle, memory.entering, memory.firstWaiting.miB, memory.allWaiting, memory.extending].map(one),
      ]),
    ),
    section(
      `What that comes to with ${MANY}, if it goes on like this`,
      table([
        ['until all have entered it', `${whole(MANY / perSecond)} s`],
        ['histories', `${whole((MANY * history.bytes) / 2 ** 20)} MiB`],
        ["the worker's memory while they wait", memoryOfMany(measured)],
      ]),
    ),
  ];
}

/** From what those added that came after the cache was full; nothing when memory was given back meanwhile. */
function memoryOfMany({ rotations, cached, memory: { firstWaiting, allWaiting } }: GraceFigures): string {
  if (cached >= rotations) return 'not known: the cache held all of them';
  const each = Math.max(0, allWaiting - firstWaiting.miB) / (rotations - firstWaiting.rotations);
  return `${Math.round(allWaiting + (MANY - rotations) * each)} MiB`;
}
