import { z } from 'zod';
import { ON_STILL_USED, type ApiKeyProviderPlan } from '../../rotation/plan';
import { duration, httpUrl, line, oneOf } from '../values';
import { chooseOne } from './choice';
import { httpProvider } from './http-provider';
import { secretKeys } from './policy';

const awsIam = z.strictObject({
  name: z.literal('aws-iam'),
  user: z
    .string()
    .regex(
      /^[\w+=,.@-]{1,64}$/,
      'is not the name of an IAM user: at most 64 letters, digits and _ + = , . @ - are allowed',
    )
    .describe('The IAM user whose access keys these are'),
});

const amazonSpApi = z.strictObject({
  name: z.literal('amazon-sp-api'),
  clientId: line("The application's client ID at Login with Amazon"),
  queueUrl: httpUrl('The SQS queue that receives APPLICATION_OAUTH_CLIENT_NEW_SECRET'),
  endpoint: httpUrl("The Selling Partner API's address, such as https://sellingpartnerapi-na.amazon.com"),
  tokenUrl: httpUrl("Login with Amazon's token address; https://api.amazon.com/auth/o2/token when absent").default(
    'https://api.amazon.com/auth/o2/token',
  ),
});

const PROVIDER_NAMES = ['aws-iam', 'http', 'amazon-sp-api'] as const satisfies readonly ApiKeyProviderPlan['name'][];

const provider = z
  .discriminatedUnion('name', [awsIam, httpProvider, amazonSpApi], chooseOne('name', PROVIDER_NAMES))
  .describe('Who issues the keys, by name, and how to ask them');

/** What a rotation writes beside the key into the secondary. */
const RESERVED_FIELDS: readonly string[] = ['graceEndsAt', 'phaseInPercent', 'keyturn'];

function field(description: string) {
  return line(description)
    .refine(
      (name) => !RESERVED_FIELDS.includes(name),
      `is reserved: Keyturn itself writes the fields ${RESERVED_FIELDS.join(', ')} beside the new key`,
    )
    .optional();
}

const fields = z.strictObject({
  id: field("The field that holds the key's public ID"),
  value: field("The field that holds the key's value"),
});

const phaseInStep = z.strictObject({
  after: duration("How long after the grace period's start", true),
  percent: z.int().min(0).max(100).describe('What share of use the new key gets from then on, 0 to 100'),
});

export const apiKey = z.strictObject({
  type: z.literal('api-key'),
  ...secretKeys,
  provider,
  fields: fields
    .default({})
    .describe(
      'The fields of the JSON secret that hold the key, the others are kept; accessKeyId and secretAccessKey for aws-iam, keyId and key for http, clientSecretExpiresAt and clientSecret for amazon-sp-api when absent',
    ),
  gracePeriod: duration(
    'How long both keys work before the new one becomes the primary; 7 days when absent, or maxGracePeriod where that is shorter; at most 7 days for amazon-sp-api',
    true,
  ).optional(),
  maxGracePeriod: duration(
    'The longest that operators and use of the old key may prolong the grace period to, from its start, at most 365 days; 30 days when absent, 7 days for amazon-sp-api',
    true,
  ).optional(),
  phaseIn: z
    .array(phaseInStep)
    .default([])
    .describe('The growing share of use that the new key gets during the grace period, in ascending order'),
  quietPeriod: duration(
    'How long the old key must not have been used before it is revoked, where the provider can tell; 24 hours when absent, or maxGracePeriod where that is shorter; 0 hours does not ask',
    true,
  ).optional(),
  onStillUsed: oneOf(ON_STILL_USED)
    .default('fail')
    .describe(
      'What happens when the old key is still used at the end of maxGracePeriod: fail rolls the rotation back, revoke retires the key all the same; fail when absent',
    ),
});

export type ApiKeyData = z.output<typeof apiKey>;

/** The mappings of an API key below the secret itself, by their names. */
export const API_KEY_MAPPINGS = { 'aws-iam': awsIam, 'amazon-sp-api': amazonSpApi, fields, phaseInStep };
