import { table } from '../../src/client/table';
import { WRITES_PER_SECOND } from '../../src/runtime/write-pace';
import type { FleetFigures, FleetRun } from './fleet';
import { one, section, two } from './report-parts';

/** PutSecretValue once, UpdateSecretVersionStage twice; see `the calls of one single-user rotation`. */
const WRITES_OF_A_ROTATION = 3;

/** Fleets for people: the rows of docs/performance.md. */
export function fleetSections({ paced, runs, pattern, apply }: FleetFigures): string[] {
  const atMost = one(WRITES_PER_SECOND / WRITES_OF_A_ROTATION);
  const pace = paced
    ? `Measured at it: the workers together write ${WRITES_PER_SECOND} times a second.`
    : `Lifted here (KEYTURN_SECRET_WRITES_PER_SECOND), because moto has no quota: these are not rates for AWS.`;
  return [
    section(
      'Fleets of 70 % app secrets and 30 % databases, with the concurrency that is usual in a catalog',
      [
        table([
          [
            'secrets',
            'workers',
            'seconds',
            'rotations a second',
            'ms each',
            "÷ AWS's pattern",
            'workers, MiB',
            'server, MiB',
          ],
          ...runs.map((run) => rowOf(run, pattern.perSecond)),
        ]),
        `AWS's pattern, the four steps of one secret after the other by direct calls, ${pattern.rotations} rotations: ${one(pattern.perSecond)} a second`,
        `With the usual pace of writes, ${WRITES_PER_SECOND} a second over all workers, ${WRITES_OF_A_ROTATION} a rotation, a fleet does at most ${atMost} a second. ${pace}`,
      ].join('\n'),
    ),
    section('Growth of the time for each secret, from the smallest fleet to the largest', growth(runs)),
    section(
      `keyturn apply of ${apply.schedules} schedules and a weekly run, in seconds`,
      table([
        ['created', 'again, without changes', 'deleted'],
        [apply.firstSeconds, apply.secondSeconds, apply.deletionSeconds].map(one),
      ]),
    ),
  ];
}

function rowOf({ secrets, workers, seconds, perSecond, workerMiB, serverMiB }: FleetRun, pattern: number): string[] {
  return [
    `${secrets}`,
    `${workers}`,
    one(seconds),
    one(perSecond),
    one(1_000 / perSecond),
    two(perSecond / pattern),
    workerMiB.map(one).join(', '),
    serverMiB === undefined ? 'not known' : one(serverMiB),
  ];
}

/** Linear is 1. */
function growth(runs: FleetRun[]): string {
  const lines = [1, 2].flatMap((workers) => {
    const [first, ...others] = runs.filter((run) => run.workers === workers).sort((a, b) => a.secrets - b.secrets);
    const last = others.at(-1);
    if (!first || !last) return [];
    const factor = first.perSecond / last.perSecond;
    return [[`${workers} ${workers === 1 ? 'worker' : 'workers'}, ${first.secrets} to ${last.secrets}`, two(factor)]];
  });
  return lines.length === 0 ? 'not known: there was one size' : table([['', 'factor (1 is linear)'], ...lines]);
}
