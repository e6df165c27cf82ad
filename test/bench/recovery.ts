import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyturnClient } from '../../src/client/keyturn-client';
import { secretIdOf } from '../../src/rotation/names';
import { spawnWorker } from '../lab/worker-process';
import { createPauses, PAUSES_DIRECTORY } from '../testbed/pauses';
import type { Point } from '../testbed/pauses';
import { rotationsBy } from './stage';
import type { Stage } from './stage';
import { median } from './statistics';
import { ENVIRONMENT, RECOVERIES, recovery, TASK_QUEUE } from './subjects';

/** Of its own, so that the other measurements' worker does not step in. */
const RECOVERY_QUEUE = `${TASK_QUEUE}-recovery`;
const AT_ONCE = 2;

export interface Recovery {
  /** Seconds from SIGKILL to the rotation's end, each. */
  seconds: number[];
  medianSeconds: number;
}

/**
 * Kills a worker that has changed a password and not yet said so: AWSCURRENT does not open the database. A second worker runs by then,
 * as in every deployment that wants no gap.
 */
export async function measureRecovery(stage: Stage): Promise<Recovery> {
  const directory = join(stage.directory, 'pauses');
  await mkdir(directory);
  const pauses = createPauses(directory);
  const rotate = rotationsBy(new KeyturnClient(stage.temporal, RECOVERY_QUEUE));
  const startWorker = async () => {
    const env = { ...stage.workerEnv, KEYTURN_TASK_QUEUE: RECOVERY_QUEUE, [PAUSES_DIRECTORY]: directory };
    const worker = await spawnWorker(env, { program: 'dist/test/testbed/test-worker.js' });
    await worker.ready;
    return worker;
  };

  const seconds: number[] = [];
  let victim = await startWorker();
  try {
    for (let first = 0; first < RECOVERIES; first += AT_ONCE) {
      const secrets = Array.from({ length: AT_ONCE }, (_, n) => recovery(first + n));
      const points = secrets.map((secret): Point => {
        return { secretId: secretIdOf(ENVIRONMENT, secret), step: 'setPassword', when: 'after' };
      });
      for (const point of points) await pauses.stopAt(point);
      const ends = secrets.map((secret) => rotate(secret).then(() => performance.now()));
      for (const point of points) await pauses.reached(point);
      const spare = await startWorker();
      const killedAt = performance.now();
      await victim.kill('SIGKILL');
      victim = spare;
      for (const point of points) await pauses.goOn(point);
      seconds.push(...(await Promise.all(ends)).map((endedAt) => (endedAt - killedAt) / 1_000));
    }
  } finally {
    await victim.stop();
  }
  return { seconds, medianSeconds: median(seconds) };
}
