import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import { KeyturnClient } from '../../src/client/keyturn-client';
import { inLanes } from '../../src/rotation/in-lanes';
import { graceEntry } from './grace-entry';
import { highestMiB, residentMiB, settledMiB } from './memory';
import type { Stage } from './stage';
import { median, quantile, timed } from './statistics';
import { ENVIRONMENT, TASK_QUEUE } from './subjects';
import { readMetrics } from './worker-metrics';

export const ROTATIONS_IN_GRACE = 1_000;
/** The worker's cache; the first of the rotations fill it. */
export const CACHED_WORKFLOWS = 100;

const EXTENSIONS = 100;
const QUIET_MS = 60_000;
const LANES = 10;

/** What many rotations in their grace period at once cost one worker. Memory is the worker's resident set size, in MiB. */
export interface GraceFigures {
  rotations: number;
  /** How many of them the worker held in its cache, by its own metrics. */
  cached: number;
  enteredSeconds: number;
  memory: {
    idle: number;
    /** The highest while they went into their grace period. */
    entering: number;
    /** When the first of them, which fill the cache, waited. */
    firstWaiting: { rotations: number; miB: number };
    allWaiting: number;
    /** The highest while grace periods were extended. */
    extending: number;
  };
  /** What woke while nothing was asked of the worker. */
  quiet: { seconds: number; workflowTasks: number; historyEvents: number };
  /** `extendGracePeriod` as an update, one after another, each on another rotation as far as there are enough. */
  extensions: { updates: number; medianMs: number; p99Ms: number };
  /** Of a rotation that waits: the median. */
  history: { events: number; bytes: number };
}

/** @param say takes the progress. */
export async function measureGracePeriods(
  stage: Stage,
  secrets: readonly string[],
  say: (line: string) => void,
): Promise<GraceFigures> {
  const { worker, temporal } = stage;
  const { pid } = worker;
  const idle = await residentMiB(pid);
  const entry = graceEntry(stage);
  try {
    const first = Math.min(CACHED_WORKFLOWS, Math.ceil(secrets.length / 2));
    say(`rotating ${first} API keys into their grace period`);
    let enteredSeconds = 0;
    const enter = (some: readonly string[]) => async () => {
      enteredSeconds += await entry.enter(some);
    };
    const firstPeak = await highestMiB(pid, enter(secrets.slice(0, first)));
    const firstWaiting = { rotations: first, miB: await settledMiB(pid) };
    say(`rotating ${secrets.length - first} more`);
    const peak = await highestMiB(pid, enter(secrets.slice(first)));
    const allWaiting = await settledMiB(pid);

    say(`watching them wait for ${QUIET_MS / 1_000} s`);
    const before = await historiesOf(stage, entry.started);
    const { workflowTasks, cachedWorkflows } = await readMetrics(worker);
    await delay(QUIET_MS);
    const woken = (await readMetrics(worker)).workflowTasks - workflowTasks;
    const after = await historiesOf(stage, entry.started);

    say(`extending ${EXTENSIONS} grace periods`);
    let extensions: number[] = [];
    const extending = await highestMiB(pid, async () => {
      extensions = await extend(stage, secrets);
    });
    return {
      rotations: secrets.length,
      cached: cachedWorkflows,
      enteredSeconds,
      memory: { idle, entering: Math.max(firstPeak, peak), firstWaiting, allWaiting, extending },
      quiet: { seconds: QUIET_MS / 1_000, workflowTasks: woken, historyEvents: eventsIn(after) - eventsIn(before) },
      extensions: { updates: extensions.length, medianMs: median(extensions), p99Ms: quantile(extensions, 0.99) },
      history: {
        events: median(before.map(({ events }) => events)),
        bytes: median(before.map(({ bytes }) => bytes)),
      },
    };
  } finally {
    say('ending the rotations');
    await inLanes(entry.started, LANES, async (workflowId) => {
      // One that has ended by itself is what the bench fails with.
      await temporal.workflow.getHandle(workflowId).terminate('the bench is over').catch(ignoreEnded);
    });
  }
}

function ignoreEnded(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

interface History {
  events: number;
  bytes: number;
}

/** From the server, so that no rotation is asked and woken. */
async function historiesOf({ temporal }: Stage, workflowIds: readonly string[]): Promise<History[]> {
  const histories: History[] = [];
  await inLanes(workflowIds, LANES, async (workflowId) => {
    const { historyLength, historySize = 0 } = await temporal.workflow.getHandle(workflowId).describe();
    histories.push({ events: historyLength, bytes: historySize });
  });
  return histories;
}

const eventsIn = (histories: History[]) => histories.reduce((sum, { events }) => sum + events, 0);

/** Spread over all of them: most are not in the cache, and are read from their history first. @returns milliseconds, each */
async function extend({ temporal }: Stage, secrets: readonly string[]): Promise<number[]> {
  const keyturn = new KeyturnClient(temporal, TASK_QUEUE);
  const took: number[] = [];
  for (let n = 0; n < EXTENSIONS; n += 1) {
    const secret = secrets[Math.floor((n * secrets.length) / EXTENSIONS)] ?? '';
    const request = { by: '1 hour', requestedBy: 'bench' };
    took.push(await timed(() => keyturn.extendGracePeriod(ENVIRONMENT, secret, request)));
  }
  return took;
}
