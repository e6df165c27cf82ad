import { CONTENDERS, rotateOnce } from './contenders';
import type { Stage } from './stage';
import { median, quantile, timed } from './statistics';
import type { Contender } from './subjects';

const WARM_UP = 8;
const MEASURED = 50;

export interface Duration {
  medianMs: number;
  p95Ms: number;
  /** The median divided by the floor's. */
  toFloor: number;
}

export interface Overhead {
  measured: number;
  contenders: Record<Contender, Duration>;
}

/** One after another and in turn, so that whatever else the machine does meanwhile meets all alike. */
export async function measureOverhead(stage: Stage): Promise<Overhead> {
  const durations: Record<Contender, number[]> = { rotation: [], floor: [], sample: [] };
  for (let round = -WARM_UP; round < MEASURED; round += 1) {
    for (const contender of CONTENDERS) {
      const took = await timed(() => rotateOnce(stage, contender, 0));
      if (round >= 0) durations[contender].push(took);
    }
  }
  const floor = median(durations.floor);
  const durationOf = (contender: Contender): Duration => ({
    medianMs: median(durations[contender]),
    p95Ms: quantile(durations[contender], 0.95),
    toFloor: median(durations[contender]) / floor,
  });
  return {
    measured: MEASURED,
    contenders: { rotation: durationOf('rotation'), floor: durationOf('floor'), sample: durationOf('sample') },
  };
}
