import { z } from 'zod';
import type { CredentialSource } from '../../rotation/notifications';
import { CHANNEL_TYPES, MAIL_TLS, NOTIFICATION_EVENTS, SEVERITIES } from '../../rotation/notifications';
import { environmentName, httpUrl, line, oneOf, secretName } from '../values';
import { chooseOne } from './choice';
import type { KnownKeys } from './known-keys';

/** Only such variables: whoever may edit the catalog must not have the worker's other credentials sent somewhere. */
const VARIABLE = /^KEYTURN_NOTIFY_[A-Z0-9_]+$/;

const credentialShape = z.strictObject({
  env: line('An environment variable of the worker that holds it; its name begins with KEYTURN_NOTIFY_')
    .regex(VARIABLE, 'is not the name of an environment variable that begins with KEYTURN_NOTIFY_, in capital letters')
    .optional(),
  secret: secretName
    .describe("A secret that holds it, by its full name in Secrets Manager in the worker's region")
    .optional(),
  field: line('The field of that secret that holds it; the whole string when absent').optional(),
});

function credential(description: string) {
  return credentialShape
    .transform(({ env, secret, field }, context): CredentialSource => {
      const refuse = (message: string) => {
        context.addIssue({ code: 'custom', message });
        return z.NEVER;
      };
      if (env !== undefined && secret !== undefined) return refuse('has env and secret: keep one of them');
      if (secret !== undefined) return { kind: 'secret', secretId: secret, ...(field !== undefined && { field }) };
      if (env === undefined) return refuse('must say env or secret: where the credential is');
      return field === undefined ? { kind: 'env', name: env } : refuse('has a field, which only a secret has');
    })
    .describe(description);
}

/** Amazon SNS: 'Names and ARNs'; the part after the region is an account and a topic's name. */
const TOPIC_ARN = /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}(\.fifo)?$/;

const sns = z.strictObject({
  type: z.literal('sns'),
  topicArn: line('The topic').regex(
    TOPIC_ARN,
    'is not the ARN of an SNS topic, such as arn:aws:sns:eu-central-1:123456789012:rotations',
  ),
});

const slack = z.strictObject({
  type: z.literal('slack'),
  url: credential(
    'The address of an incoming webhook of Slack, or of a service that takes the same. It is a credential',
  ),
});

const webhook = z.strictObject({
  type: z.literal('webhook'),
  url: httpUrl('Where notifications are posted to as JSON'),
  signingKey: credential('The key that each notification is signed with, by Standard Webhooks; 16 characters at least'),
});

const mailAddress = (description: string) =>
  line(description).regex(/^[^\s@<>,;"]+@[^\s@<>,;"]+$/, 'is not a mail address, such as oncall@example.com');

const email = z.strictObject({
  type: z.literal('email'),
  host: line('The mail server'),
  port: z.int().min(1).max(65_535).optional().describe("The mail server's port; 465 with tls: implicit, otherwise 587"),
  tls: oneOf(MAIL_TLS)
    .default('starttls')
    .describe('How the connection is protected; starttls when absent, none only for a server on the same machine'),
  from: mailAddress('The sender'),
  to: z.array(mailAddress('A recipient')).min(1, 'must name a recipient').describe('The recipients'),
  username: line("The mail server's login").optional(),
  password: credential("The login's password").optional(),
});

const pagerduty = z.strictObject({
  type: z.literal('pagerduty'),
  routingKey: credential('The integration key of an Events API v2 integration'),
  url: httpUrl('The Events API; that of the EU service region is https://events.eu.pagerduty.com/v2/enqueue').default(
    'https://events.pagerduty.com/v2/enqueue',
  ),
});

const log = z.strictObject({ type: z.literal('log') });

const channel = z.discriminatedUnion(
  'type',
  [sns, slack, webhook, email, pagerduty, log],
  chooseOne('type', CHANNEL_TYPES),
);

const channelName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not the name of a channel: letters, digits and _ - are allowed, 64 at most');

const some = <T extends z.ZodType>(item: T, what: string) => z.array(item).min(1, `must name ${what}`);

const route = z.strictObject({
  channels: some(line('A channel'), 'a channel').describe('The channels that are told, by their names'),
  environments: some(environmentName, 'an environment').optional().describe('All environments when absent'),
  events: some(oneOf(NOTIFICATION_EVENTS), 'an event').optional().describe('All events when absent'),
  severity: oneOf(SEVERITIES).optional().describe('The least that is told; info when absent'),
});

/** Who is told of what. */
export const notifications = z.strictObject({
  channels: z.record(channelName, channel).describe('The channels, by their names'),
  routes: some(route, 'a route').describe(
    'Which channels are told of what; a channel is told once, however many routes name it',
  ),
  runbooks: httpUrl('Where your copy of docs/runbooks is; the links in notifications begin with it').optional(),
});

export type NotificationsData = z.output<typeof notifications>;

const CHANNELS = { sns, slack, webhook, email, pagerduty, log };

/** For a mapping at `notifications` or below. */
export function knownKeysOfNotifications([, part, name, key]: readonly PropertyKey[], mapping: unknown): KnownKeys {
  const known = (of: string, shape: z.ZodObject) => ({ of, keys: Object.keys(shape.shape) });
  if (part === 'routes') return known('a route', route);
  if (part !== 'channels' || name === undefined) return known('notifications', notifications);
  if (key !== undefined) return known('a credential', credentialShape);
  const { type } = mapping as { type: keyof typeof CHANNELS };
  return known(`a channel of type ${type}`, CHANNELS[type]);
}
