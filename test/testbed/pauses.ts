import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A point in a rotation: before a step's activity begins, or after it took effect and before the server hears of it. */
export interface Point {
  secretId: string;
  step: string;
  /** One of the step's activities, by its type; any of them when absent. */
  activity?: string;
  when: 'before' | 'after';
}

/** Names the folder through which tests tell a worker process where to stand still. */
export const PAUSES_DIRECTORY = 'KEYTURN_TEST_PAUSES';

const LOOK_AGAIN_MS = 15;

const fileOf = (directory: string, { secretId, step, activity, when }: Point, what: 'wanted' | 'reached') =>
  join(directory, `${encodeURIComponent(`${secretId} ${step} ${activity ?? 'any'} ${when}`)}.${what}`);

/** The test's side: files say where to stand still, so that it holds over a worker's death and for its successor. */
export function createPauses(directory: string) {
  return {
    async stopAt(point: Point): Promise<void> {
      await mkdir(directory, { recursive: true });
      await rm(fileOf(directory, point, 'reached'), { force: true });
      await writeFile(fileOf(directory, point, 'wanted'), '');
    },
    async goOn(point: Point): Promise<void> {
      await rm(fileOf(directory, point, 'wanted'), { force: true });
    },
    async reached(point: Point, withinMs = 60_000): Promise<void> {
      const deadline = Date.now() + withinMs;
      while (!existsSync(fileOf(directory, point, 'reached'))) {
        if (Date.now() > deadline) throw new Error(`${point.secretId} did not get to ${point.when} ${point.step}`);
        await delay(LOOK_AGAIN_MS);
      }
    },
  };
}

export type Pauses = ReturnType<typeof createPauses>;

/** The worker's side. */
export async function standStillAt(directory: string, here: Required<Point>): Promise<void> {
  for (const point of [here, { ...here, activity: undefined }]) {
    if (!existsSync(fileOf(directory, point, 'wanted'))) continue;
    await writeFile(fileOf(directory, point, 'reached'), '');
    while (existsSync(fileOf(directory, point, 'wanted'))) await delay(LOOK_AGAIN_MS);
  }
}
