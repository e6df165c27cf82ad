import { inLanes } from '../../src/rotation/in-lanes';
import { CONTENDERS, rotateOnce } from './contenders';
import type { Stage } from './stage';
import { timed } from './statistics';
import { MOST_AT_ONCE } from './subjects';
import type { Contender } from './subjects';

/** How many rotations one turn has; the turns alternate, so that the machine's drift meets all alike. */
const LOADS = [
  { atOnce: 1, rotations: 10 },
  { atOnce: 10, rotations: 60 },
  { atOnce: MOST_AT_ONCE, rotations: 100 },
];
const TURNS = 2;

export interface Throughput {
  atOnce: number;
  /** Per contender, in all turns. */
  rotations: number;
  perSecond: Record<Contender, number>;
}

/** @param underFullLoad stands around each turn of Keyturn's with the most rotations at once. */
export async function measureThroughput(
  stage: Stage,
  underFullLoad: (turn: () => Promise<void>) => Promise<void>,
): Promise<Throughput[]> {
  const measured: Throughput[] = [];
  for (const { atOnce, rotations } of LOADS) {
    const took: Record<Contender, number> = { rotation: 0, floor: 0, sample: 0 };
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const contender of CONTENDERS) {
        const work = () => rotateInLanes(stage, contender, atOnce, rotations / atOnce);
        const watched = contender === 'rotation' && atOnce === MOST_AT_ONCE;
        took[contender] += await timed(() => (watched ? underFullLoad(work) : work()));
      }
    }
    const rate = (contender: Contender) => (TURNS * rotations * 1_000) / took[contender];
    measured.push({
      atOnce,
      rotations: TURNS * rotations,
      perSecond: { rotation: rate('rotation'), floor: rate('floor'), sample: rate('sample') },
    });
  }
  return measured;
}

/** Each lane rotates its own secret, again and again. */
async function rotateInLanes(stage: Stage, contender: Contender, lanes: number, each: number): Promise<void> {
  const all = Array.from({ length: lanes }, (_, lane) => lane);
  await inLanes(all, lanes, async (lane) => {
    for (let n = 0; n < each; n += 1) await rotateOnce(stage, contender, lane);
  });
}
