import type { AwsCredentials } from '../lab/aws';
import type { EnforcingAws } from './enforcing-aws';
import type { TimeSkippingTestbed } from './time-skipping-testbed';

/** A user's access key in a secret, as an application and the rotation see it. */
export interface AccessKeySecret {
  userName: string;
  /** The key that the user had at first. */
  old: AwsCredentials;
  /** The key that the secondary offers. @throws Error when there is none. */
  offered(): Promise<AwsCredentials & { graceEndsAt: string; phaseInPercent: number }>;
  /** The key of the primary. */
  current(): Promise<AwsCredentials>;
}

/** Makes a user with a key, stores it, and declares the secret. */
export async function createAccessKeySecret(
  bed: TimeSkippingTestbed,
  aws: EnforcingAws,
  secret: string,
  declaration: Record<string, unknown> = {},
): Promise<AccessKeySecret> {
  const userName = `${bed.environment}-${secret.replaceAll('/', '-')}`;
  const old = await aws.createUser(userName);
  const seen = [old.secretAccessKey];
  bed.alsoSecret(() => seen);
  await bed.secrets.create(
    secret,
    JSON.stringify({ keyId: old.accessKeyId, key: old.secretAccessKey, bucket: 'exports' }),
  );
  await bed.declare({
    [secret]: {
      type: 'api-key',
      provider: { name: 'aws-iam', user: userName },
      fields: { id: 'keyId', value: 'key' },
      gracePeriod: '7 days',
      ...declaration,
    },
  });
  async function keyIn<T extends object>(name: string): Promise<AwsCredentials & T> {
    const {
      keyId: accessKeyId,
      key: secretAccessKey,
      ...rest
    } = JSON.parse(await bed.secrets.value(name)) as { keyId: string; key: string };
    seen.push(secretAccessKey);
    return { accessKeyId, secretAccessKey, ...(rest as T) };
  }
  return { userName, old, offered: () => keyIn(`${secret}-secondary`), current: () => keyIn(secret) };
}
