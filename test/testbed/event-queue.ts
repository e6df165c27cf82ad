import { randomUUID } from 'node:crypto';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { Testbed } from './testbed';

/** A queue of a test's own in the lab's SQS. */
export interface EventQueue {
  url: string;
  /** Puts text, or an object as JSON, on the queue. @returns the message's ID. */
  send(body: string | object): Promise<string>;
  /** How many messages there are, hidden ones included. */
  size(): Promise<number>;
  stop(): Promise<void>;
}

/** A queue that ends with the testbed. */
export async function createEventQueue(bed: Testbed): Promise<EventQueue> {
  const sqs = new SQSClient({});
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `events-${bed.environment}` }));
  const queue: EventQueue = {
    url: QueueUrl ?? '',
    async send(body) {
      const MessageBody = typeof body === 'string' ? body : JSON.stringify(body);
      return (await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }))).MessageId ?? '';
    },
    async size() {
      const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
      return (
        Number(Attributes?.['ApproximateNumberOfMessages']) +
        Number(Attributes?.['ApproximateNumberOfMessagesNotVisible'])
      );
    },
    async stop() {
      await sqs.send(new DeleteQueueCommand({ QueueUrl }));
      sqs.destroy();
    },
  };
  bed.alsoStop(queue);
  return queue;
}

/** As EventBridge puts an event on a queue. */
export function eventBridge(source: string, type: string, detail: object, id: string = randomUUID()) {
  return {
    version: '0',
    id,
    'detail-type': type,
    source,
    account: '123456789012',
    time: new Date().toISOString(),
    region: 'us-east-1',
    resources: [],
    detail,
  };
}

/** A call of an AWS service as CloudTrail records it. */
export function recordedCall(
  service: 'secretsmanager' | 'kms',
  eventName: string,
  requestParameters: Record<string, string>,
  by = 'arn:aws:iam::123456789012:user/mallory',
) {
  return eventBridge(`aws.${service}`, 'AWS API Call via CloudTrail', {
    eventVersion: '1.11',
    eventSource: `${service}.amazonaws.com`,
    eventName,
    userIdentity: { type: 'IAMUser', arn: by },
    requestParameters,
    responseElements: null,
  });
}
