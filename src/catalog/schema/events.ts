import { z } from 'zod';
import { LEAK_POLICIES } from '../../rotation/events';
import { httpUrl, oneOf } from '../values';

/** Amazon SQS Developer Guide, 'Queue and message identifiers': the account and the queue's name are the path. */
const QUEUE_PATH = /^\/\d{12}\/[\w-]{1,80}$/;

/** The queue of events, and what is done about them. */
export const events = z
  .strictObject({
    queueUrl: httpUrl('The SQS queue that EventBridge puts events on, such as deploy/aws/events.yaml makes').refine(
      (url) => !/^https?:/.test(url) || !URL.canParse(url) || QUEUE_PATH.test(new URL(url).pathname),
      'is not the URL of an SQS queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/keyturn-events',
    ),
    leak: oneOf(LEAK_POLICIES)
      .default('notify')
      .describe(
        'What is done when a secret is said to have leaked: rotate it as an emergency, or only notify people; notify when absent',
      ),
  })
  .describe('Which events from outside the workers act on');
