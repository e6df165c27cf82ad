import { readFileSync } from 'node:fs';
import { projectFile } from './lab/project';
import { seen, shown, type Mistake } from './testbed/catalog-mistakes';

const QUEUE = 'queueUrl: "https://sqs.eu-central-1.amazonaws.com/123456789012/keyturn-events"';
/** A catalog that says this of events. */
const heeding = (events: string) => `environments: {dev: {secrets: {}}}\n${events}\n`;
const at = (path: string, message: string) => ` ${path}: ${message}`;

describe('a mistake in what is said of events is shown with its place and what to do:', () => {
  const mistakes: Mistake[] = [
    [
      'no queue',
      heeding('▸events: {leak: rotate}'),
      at(
        'events.queueUrl',
        'is missing: the SQS queue that EventBridge puts events on, such as deploy/aws/events.yaml makes',
      ),
    ],
    [
      'no address',
      heeding('events: {queueUrl: ▸keyturn-events}'),
      at('events.queueUrl', 'is not an address that starts with http:// or https://'),
    ],
    [
      'the address of something else',
      heeding('events: {queueUrl: ▸"https://example.com/events"}'),
      at(
        'events.queueUrl',
        'is not the URL of an SQS queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/keyturn-events',
      ),
    ],
    [
      'the ARN of a queue',
      heeding('events: {queueUrl: ▸"arn:aws:sqs:eu-central-1:123456789012:keyturn-events"}'),
      at('events.queueUrl', 'is not an address that starts with http:// or https://'),
    ],
    [
      'an unknown answer to a leak',
      heeding(`events: {${QUEUE}, leak: ▸rotated}`),
      at('events.leak', '"rotated" is none of rotate, notify; did you mean rotate?'),
    ],
    [
      'an unknown key',
      heeding(`events: {${QUEUE}, ▸onLeak: rotate}`),
      at('events.onLeak', 'is no key of events; did you mean leak?'),
    ],
    ['no mapping', heeding('events: ▸"rotate"'), at('events', 'must be a mapping, not text')],
  ];
  mistakes.forEach(shown);
});

test('the sample of the catalog is right once its comment signs are removed', async () => {
  const [before, example] = readFileSync(projectFile('keyturn.yaml'), 'utf8').split(/(?=^# events:)/m);
  expect(example).toContain('leak: rotate');
  expect(await seen(`${before}${example?.replaceAll(/^# /gm, '')}`)).toEqual([]);
});
