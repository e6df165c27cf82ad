import { ChangeMessageVisibilityBatchCommand, DeleteMessageCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { outsideCall, protect } from '../../boundary/activity-scope';
import { currentAttempt } from './current-attempt';
import { readNotification } from './notification';
import type { NewSecret, NotificationContent } from './notification';
import { sqsFailure } from './sqs-errors';

/** What SQS gives at once at most, and takes at once in a batch. */
const BATCH = 10;
/** A queue that holds more is not one for client secrets; the rest of it waits for the next look. */
const MOST_AT_ONCE = 200;
/**
 * How long a received message is hidden from other receivers, in seconds. A worker that dies with the answer in its hands delays it by
 * that; one that stores it needs far less.
 */
const HIDDEN_FOR_S = 30;
/** Beside the wait that SQS was asked for, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

interface Received {
  id: string;
  receiptHandle: string;
  content: NotificationContent;
}

/** What answers a request for a new client secret. */
export interface Expected {
  clientId: string;
  /** In milliseconds since the epoch. What is older answered somebody else. */
  sinceMs: number;
  /** The secret that is replaced; a message that brings it is the answer to the rotation before. */
  currentSecret: string;
}

export interface Answer {
  secret: NewSecret;
  /** Removes it from the queue, and older answers to the same request. May be called twice. */
  remove(): Promise<void>;
}

export interface Look {
  /** The newest answer. */
  answer?: Answer;
  /** When the newest new secret of this application that is no answer was made, ISO 8601. */
  olderFrom?: string;
  /** How many messages were not the answer, and were left. */
  left: number;
  /** How many of them could not be read. */
  malformed: number;
}

/**
 * Looks through the whole queue once. What is not the answer is left: it is hidden from other receivers only while the queue is read,
 * because it would otherwise be received again and again in place of what stands behind it.
 *
 * @param waitSeconds how long to wait for a first message while the queue is empty, 1 to 20. SQS asks all its servers only when there
 *   is a wait. Source: Amazon SQS Developer Guide, Amazon SQS short and long polling.
 * @throws Throttled, PermissionDenied, CatalogInvalid (no such queue), TargetUnavailable.
 */
export async function lookIntoQueue(
  sqs: SQSClient,
  queueUrl: string,
  expected: Expected,
  waitSeconds: number,
): Promise<Look> {
  const answers: Received[] = [];
  const others: Received[] = [];
  const seen = new Set<string>();
  try {
    let wait = waitSeconds;
    for (let isNew = true; isNew && seen.size < MOST_AT_ONCE; wait = 1) {
      isNew = false;
      for (const message of await receive(sqs, queueUrl, wait)) {
        if (isAnswer(message.content, expected)) answers.push(message);
        else others.push(message);
        isNew ||= !seen.has(message.id);
        seen.add(message.id);
      }
    }
  } finally {
    await release(sqs, queueUrl, others);
  }
  const contents = new Map(others.map(({ id, content }) => [id, content]));
  return {
    answer: answerOf(answers, (message) => remove(sqs, queueUrl, message)),
    olderFrom: newestOf([...contents.values()], expected.clientId),
    left: contents.size,
    malformed: [...contents.values()].filter((content) => content === 'malformed').length,
  };
}

function isAnswer(content: NotificationContent, expected: Expected): boolean {
  return (
    typeof content === 'object' &&
    content.clientId === expected.clientId &&
    content.eventTimeMs >= expected.sinceMs &&
    content.newClientSecret !== expected.currentSecret
  );
}

function answerOf(answers: Received[], removeOne: (answer: Received) => Promise<void>): Answer | undefined {
  const secrets = answers.map(({ content }) => content).filter((content) => typeof content === 'object');
  const [secret] = secrets.sort((a, b) => b.eventTimeMs - a.eventTimeMs);
  if (!secret) return undefined;
  return {
    secret,
    remove: async () => {
      for (const answer of answers) await removeOne(answer);
    },
  };
}

function newestOf(contents: NotificationContent[], clientId: string): string | undefined {
  const times = contents.map((content) =>
    typeof content === 'object' && content.clientId === clientId ? content.eventTimeMs : 0,
  );
  const newest = Math.max(0, ...times);
  return newest > 0 ? new Date(newest).toISOString() : undefined;
}

async function receive(sqs: SQSClient, queueUrl: string, waitSeconds: number): Promise<Received[]> {
  const { cancelled } = currentAttempt();
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: BATCH,
    WaitTimeSeconds: waitSeconds,
    VisibilityTimeout: HIDDEN_FOR_S,
  });
  const limits = { abortSignal: cancelled, requestTimeout: waitSeconds * 1_000 + ANSWER_TIMEOUT_MS };
  try {
    const { Messages } = await outsideCall('sqs', 'ReceiveMessage', () => sqs.send(command, limits));
    return (Messages ?? []).map(({ MessageId = '', ReceiptHandle = '', Body = '' }) => {
      const content = readNotification(protect(Body));
      if (typeof content === 'object') protect(content.newClientSecret);
      return { id: MessageId, receiptHandle: ReceiptHandle, content };
    });
  } catch (error) {
    cancelled.throwIfAborted();
    throw sqsFailure(error, queueUrl, 'ReceiveMessage');
  }
}

/** Shows messages to others again. One that can't be shown now shows itself when its time is over. */
async function release(sqs: SQSClient, queueUrl: string, messages: Received[]): Promise<void> {
  for (let first = 0; first < messages.length; first += BATCH) {
    const command = new ChangeMessageVisibilityBatchCommand({
      QueueUrl: queueUrl,
      Entries: messages.slice(first, first + BATCH).map(({ receiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: 0,
      })),
    });
    await outsideCall('sqs', 'ChangeMessageVisibility', () => sqs.send(command)).catch(() => undefined);
  }
}

async function remove(sqs: SQSClient, queueUrl: string, { receiptHandle }: Received): Promise<void> {
  const { cancelled } = currentAttempt();
  const command = new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receiptHandle });
  try {
    await outsideCall('sqs', 'DeleteMessage', () => sqs.send(command, { abortSignal: cancelled }));
  } catch (error) {
    cancelled.throwIfAborted();
    // Its message is gone: the call before had succeeded, and only its answer was lost.
    if (error instanceof Error && error.name === 'ReceiptHandleIsInvalid') return;
    throw sqsFailure(error, queueUrl, 'DeleteMessage');
  }
}
