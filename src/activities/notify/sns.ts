import { createHash } from 'node:crypto';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { SNSClientConfig } from '@aws-sdk/client-sns';
import type { SnsChannel } from '../../rotation/notifications';
import { awsAnswerOf, errorNameOf } from '../aws-errors';
import { outsideCall } from '../boundary/activity-scope';
import type { Notification, Notifier } from './notifier';
import { headlineOf, subjectOf, textOf } from './notifier';
import { never, notNow } from './refusals';

/** Amazon SNS API Reference, Publish, parameter Subject. */
const LONGEST_SUBJECT = 100;

/** A client for each region that topics are in. */
export interface SnsClients {
  in(region: string): Pick<SNSClient, 'send'>;
  close(): void;
}

/** The clients do not retry: what they had no answer to may have been published, and each further try would add one. */
export function createSnsClients(options: SNSClientConfig): SnsClients {
  const clients = new Map<string, SNSClient>();
  return {
    in(region) {
      const client = clients.get(region) ?? new SNSClient({ ...options, region, maxAttempts: 1 });
      clients.set(region, client);
      return client;
    },
    close() {
      for (const client of clients.values()) client.destroy();
    },
  };
}

/**
 * Publishes to a topic: text for people, and what it is about in message attributes, by which subscriptions can filter. A FIFO topic
 * drops a repetition within five minutes.
 */
export function createSnsNotifier(channel: string, { topicArn }: SnsChannel, clients: SnsClients): Notifier {
  return {
    async send(notification) {
      const client = clients.in(topicArn.split(':')[3] ?? '');
      const command = new PublishCommand({
        TopicArn: topicArn,
        Subject: `[Keyturn] ${headlineOf(notification)}`.slice(0, LONGEST_SUBJECT),
        Message: textOf(notification),
        MessageAttributes: attributesOf(notification),
        ...(topicArn.endsWith('.fifo') && {
          MessageDeduplicationId: notification.id,
          MessageGroupId: createHash('sha256').update(subjectOf(notification)).digest('hex'),
        }),
      });
      try {
        await outsideCall('sns', 'Publish', () => client.send(command));
      } catch (error) {
        throw toFailure(error, channel, topicArn);
      }
    },
  };
}

function attributesOf({ id, event, severity, environment, secret }: Notification) {
  const texts = { id, event, severity, environment, ...(secret !== undefined && { secret }) };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, { DataType: 'String', StringValue: text }]),
  );
}

/** The SDK's own message may quote the request and is not passed on. */
function toFailure(error: unknown, channel: string, topicArn: string): Error {
  const name = errorNameOf(error);
  if (name === 'CancelledFailure') return error as Error;
  const answer = awsAnswerOf(error);
  if (answer === 'throttled' || answer === 'unanswered') return notNow(channel, `SNS gave no good answer (${name})`);
  return never(
    channel,
    `SNS refuses Publish with ${name}`,
    `Check that ${topicArn} exists, and that the worker's IAM role may sns:Publish to it.`,
  );
}
