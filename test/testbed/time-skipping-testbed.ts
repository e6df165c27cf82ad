import { startTimeSkippingTemporal } from '../lab/time-skipping';
import type { TimeSkippingTemporal } from '../lab/time-skipping';
import { openTestbed } from './testbed';
import type { Testbed } from './testbed';
import { until } from './until';

/**
 * A testbed on a Temporal server of its own, whose time passes when the test says so. Its workers are the real ones; AWS, PostgreSQL,
 * the audit log and activities keep the machine's time. The clock only goes forward, for all rotations of the testbed together.
 */
export interface TimeSkippingTestbed extends Testbed {
  /** The server's time, in milliseconds since 1970. */
  now(): Promise<number>;
  /**
   * Lets time pass until then (milliseconds since 1970). What is due on the way happens on the way, and its activities and their retries
   * have come to their end when this returns.
   */
  skipTo(time: number): Promise<void>;
  /**
   * The same while no worker runs, for one rotation, whose next timer is due at `wakesAt`. Nothing can happen after that: it waits for a
   * worker.
   */
  skipWithoutWorkerTo(time: number, wakesAt: number): Promise<void>;
}

/**
 * Opens a testbed on a time-skipping server.
 *
 * @param settings for the testbed and its workers, where they differ from the shared lab's.
 */
export async function openTimeSkippingTestbed(settings: Record<string, string> = {}): Promise<TimeSkippingTestbed> {
  const temporal = await startTimeSkippingTemporal((line) => process.stderr.write(`${line}\n`));
  try {
    // A testbed and its workers find their way by the environment.
    const all = { ...settings, TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' };
    return withTime(await inEnvironment(all, () => openTestbed()), temporal);
  } catch (error) {
    await temporal.stop();
    throw error;
  }
}

/** Does something while variables of this process's environment are other ones, or absent. */
async function inEnvironment<T>(variables: Record<string, string | undefined>, work: () => Promise<T>): Promise<T> {
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]));
  setVariables(variables);
  try {
    return await work();
  } finally {
    setVariables(before);
  }
}

function setVariables(variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
}

function withTime(bed: Testbed, temporal: TimeSkippingTemporal): TimeSkippingTestbed {
  // The server keeps no index of its workflows; the testbed knows those that it started.
  bed.client.workflow.list = () => ({ ...NOTHING, intoHistories: () => NOTHING });
  async function skipTo(time: number): Promise<void> {
    const left = time - (await temporal.now());
    if (left > 0) await temporal.skip(left);
  }
  return {
    ...bed,
    now: () => temporal.now(),
    skipTo,
    async skipWithoutWorkerTo(time, wakesAt) {
      const passing = skipTo(time);
      await until('the rotation to be woken', async () => (await temporal.now()) >= wakesAt);
      // A moment later, because the time comes before what is due.
      const waitAgain = await until('the clock to wait for it', () => temporal.waitForNobody().catch(() => undefined));
      await passing;
      await waitAgain();
    },
    async close() {
      try {
        await bed.close();
      } finally {
        await temporal.stop();
      }
    },
  };
}

const NOTHING: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};
