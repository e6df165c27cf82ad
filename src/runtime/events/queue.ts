import { DeleteMessageCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';

/** One message, as SQS gave it this time. */
export interface QueuedMessage {
  id: string;
  receipt: string;
  body: string;
}

const BATCH = 10;
/** SQS answers as soon as there is a message, and after that at the latest (Amazon SQS Developer Guide, 'long polling'). */
const WAIT_S = 20;
/** A message whose worker dies comes back after that; many times what starting a workflow takes. */
const HIDDEN_FOR_S = 30;
const ANSWER_TIMEOUT_MS = 5_000;

/** Waits for messages. @throws the SDK's errors, and when it is aborted. */
export async function receiveMessages(sqs: SQSClient, queueUrl: string, signal: AbortSignal): Promise<QueuedMessage[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: BATCH,
    WaitTimeSeconds: WAIT_S,
    VisibilityTimeout: HIDDEN_FOR_S,
  });
  const limits = { abortSignal: signal, requestTimeout: WAIT_S * 1_000 + ANSWER_TIMEOUT_MS };
  const { Messages } = await sqs.send(command, limits);
  return (Messages ?? []).map(({ MessageId = '', ReceiptHandle = '', Body = '' }) => ({
    id: MessageId,
    receipt: ReceiptHandle,
    body: Body,
  }));
}

/** Takes a message out of the queue for good. @throws the SDK's errors. */
export async function deleteMessage(sqs: SQSClient, queueUrl: string, { receipt }: QueuedMessage): Promise<void> {
  await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt }));
}
