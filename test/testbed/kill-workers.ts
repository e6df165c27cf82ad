import type { WorkerProcess } from '../lab/worker-process';
import type { When } from './kill-points';
import type { End, KilledRotation } from './killed-rotation';
import type { Testbed } from './testbed';

/** A rotation and how it ended; `missed` says why it has no end: it never came to its point, or never to its end. */
export interface Survived extends KilledRotation {
  ended?: End;
  missed?: Error;
}

const END_WITHIN_MS = 300_000;

/** What one worker takes on at the same time, with room for rotations that have not stopped yet. */
const STANDING_STILL_PER_WORKER = 35;

/** As many workers as it takes for each of so many rotations to stand still in an activity. */
export async function startWorkersFor(bed: Testbed, rotations: number): Promise<WorkerProcess[]> {
  return Promise.all(Array.from({ length: Math.ceil(rotations / STANDING_STILL_PER_WORKER) }, () => bed.startWorker()));
}

/**
 * Lets all rotations come to their points, kills the workers with SIGKILL, starts another one, and returns when all have ended; what
 * became of each is noted in it. One that fails on its way does not keep the others from theirs.
 */
export async function killWorkersUnder(bed: Testbed, workers: WorkerProcess[], survivors: Survived[]): Promise<void> {
  const having = (when: When) => survivors.filter(({ at }) => at.when === when);
  try {
    await each(survivors, (survivor) => survivor.arrange());
    await each([...having('before'), ...having('after'), ...having('during')], (survivor) => survivor.standStill());
    await each(having('anywhere'), (survivor) => survivor.startSoon());
    // Last, because a statement waits for a login only as long as the server lets it.
    await each(having('during'), (survivor) => survivor.waitInside());
    const ends = await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
    if (ends.some(({ signal }) => signal !== 'SIGKILL')) throw new Error('a worker ended before it was killed');
    await each(survivors, (survivor) => survivor.letGo());
    await bed.startWorker();
    await each(survivors, async (survivor) => {
      survivor.ended = await survivor.end(END_WITHIN_MS);
    });
  } finally {
    await Promise.all(survivors.map((survivor) => survivor.close()));
  }
}

/** Those that already missed their point take no part any more. */
async function each(survivors: Survived[], act: (survivor: Survived) => Promise<unknown>): Promise<void> {
  await Promise.all(
    survivors
      .filter(({ missed }) => !missed)
      .map((survivor) => act(survivor).catch((error: Error) => (survivor.missed = error))),
  );
}
