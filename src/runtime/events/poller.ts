import { setTimeout as sleep } from 'node:timers/promises';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { WorkflowClient } from '@temporalio/client';
import type { Logger } from '../logging';
import { decide } from './deciding';
import type { HeedingCatalog } from './deciding';
import type { QueuedMessage } from './queue';
import { deleteMessage, receiveMessages } from './queue';
import { readEvent } from './reading';
import { startEvent } from './starting';

export interface EventPollerParts {
  catalog: { load(): Promise<HeedingCatalog> };
  sqs: SQSClient;
  workflows: Pick<WorkflowClient, 'start'>;
  taskQueue: string;
  /** The ARN that the worker calls AWS with. */
  ownArn(): Promise<string>;
  logger: Logger;
  /** Ends the polling too, at once. */
  signal?: AbortSignal;
}

/** Polls until it is closed. */
export interface EventPoller {
  /** Ends the waiting for messages, and waits until the one in hand is done with. May be called twice. */
  close(): Promise<void>;
}

/** How often the catalog is asked for a queue while it has none. */
const LOOK_AGAIN_MS = 10_000;
const BACK_OFF_MS = { first: 1_000, longest: 60_000 };
/** A message that nobody can read comes back until its queue gives it up; it is logged once, as far as that many are remembered. */
const MOST_REMEMBERED = 1_000;

/**
 * Polls the queue that the catalog names and starts a workflow for each event of it. A message is deleted only when Temporal has
 * accepted its workflow, or when nothing is to be done about it; what cannot be read, or is refused by Temporal for good, stays for the
 * queue's redrive policy. It never throws: while the queue, Temporal or the catalog cannot be used it tries again, ever more slowly, and
 * logs once.
 */
export function startEventPoller(parts: EventPollerParts): EventPoller {
  const closing = new AbortController();
  const stop = parts.signal ? AbortSignal.any([parts.signal, closing.signal]) : closing.signal;
  const polling = poll(parts, stop);
  return {
    async close() {
      closing.abort();
      await polling;
    },
  };
}

async function poll(parts: EventPollerParts, stop: AbortSignal): Promise<void> {
  const { catalog, sqs, logger } = parts;
  const unreadable = new Set<string>();
  const pause = (ms: number) => sleep(ms, undefined, { signal: stop, ref: false }).catch(() => undefined);
  let backOff = 0;
  while (!stop.aborted) {
    try {
      const queueUrl = (await catalog.load()).events()?.queueUrl;
      if (queueUrl === undefined) {
        backOff = 0;
        await pause(LOOK_AGAIN_MS);
        continue;
      }
      const messages = await receiveMessages(sqs, queueUrl, stop);
      // Anew: it may have been edited while messages were waited for.
      const loaded = await catalog.load();
      const failures: unknown[] = [];
      for (const message of messages) {
        // One that can't be dealt with now must not keep a leak behind it waiting.
        try {
          if (await isDealtWith(message, loaded, parts, unreadable)) await deleteMessage(sqs, queueUrl, message);
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
      if (backOff > 0) logger.info({ event: 'events-polled' }, 'Events are received again');
      backOff = 0;
    } catch (error) {
      if (stop.aborted) return;
      if (backOff === 0) {
        logger.warn({ event: 'events-not-polled', error }, 'No events can be received now; rotations are not affected');
      }
      backOff = Math.min(Math.max(backOff * 2, BACK_OFF_MS.first), BACK_OFF_MS.longest);
      await pause(backOff);
    }
  }
}

/** @returns whether the message may be deleted. @throws when that cannot be said now. */
async function isDealtWith(
  { id: messageId, body }: QueuedMessage,
  catalog: HeedingCatalog,
  { workflows, taskQueue, ownArn, logger }: EventPollerParts,
  unreadable: Set<string>,
): Promise<boolean> {
  const read = readEvent(body);
  const decided = 'kind' in read ? await decide(read, catalog, ownArn) : read;
  const leave = (problem: string) => {
    if (unreadable.has(messageId)) return false;
    if (unreadable.size >= MOST_REMEMBERED) unreadable.clear();
    unreadable.add(messageId);
    logger.warn({ event: 'event-not-understood', messageId, problem }, 'A message of the event queue was left there');
    return false;
  };
  if ('ignored' in decided) {
    logger.debug({ event: 'event-ignored', messageId, problem: decided.ignored }, 'An event concerns no secret');
    return true;
  }
  if ('left' in decided) return leave(decided.left);
  const id = ('id' in read ? read.id : undefined) ?? messageId;
  const start = await startEvent(workflows, taskQueue, decided, id);
  // It would be refused again and again, and must not keep the others waiting.
  if ('left' in start) return leave(start.left);
  const { workflowId, started } = start;
  if (started)
    logger.warn({ event: 'event-accepted', messageId, kind: decided.kind, workflowId }, 'An event is acted on');
  return true;
}
