import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { startAws } from '../lab/aws';
import type { Aws } from '../lab/aws';
import { inEnvironment } from './time-skipping-testbed';
import type { TimeSkippingTestbed } from './time-skipping-testbed';

interface AccessKey {
  id: string;
  value: string;
}

/** An AWS of its own that refuses access keys that it does not know, which the shared lab's does not. */
export interface AuthenticatingAws {
  /** For the testbed and its workers: where it is, and an administrator's key. */
  settings: Record<string, string>;
  createUser(userName: string): Promise<AccessKey>;
  /** The IDs of a user's access keys. */
  keysOf(userName: string): Promise<string[]>;
  /** Whether it lets a key in. */
  accepts(key: AccessKey): Promise<boolean>;
  stop(): Promise<void>;
}

const EVERYTHING = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});

/** moto, which signs for nobody until told to: from then on it checks every signature. */
export async function startAuthenticatingAws(): Promise<AuthenticatingAws> {
  const aws = await inEnvironment({ AWS_ENDPOINT_URL: undefined }, () =>
    startAws((line) => process.stderr.write(`${line}\n`)),
  );
  try {
    return await askForKeys(aws);
  } catch (error) {
    await aws.stop();
    throw error;
  }
}

async function askForKeys({ endpoint, region, credentials, stop }: Aws): Promise<AuthenticatingAws> {
  const admin = await newUser(new IAMClient({ endpoint, region, credentials }), 'keyturn');
  const changed = await fetch(`${endpoint}/moto-api/reset-auth`, { method: 'POST', body: '0' });
  if (!changed.ok) throw new Error(`moto does not begin to check signatures (HTTP ${changed.status})`);
  const iam = new IAMClient({
    endpoint,
    region,
    credentials: { accessKeyId: admin.id, secretAccessKey: admin.value },
  });
  return {
    settings: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: admin.id,
      AWS_SECRET_ACCESS_KEY: admin.value,
    },
    createUser: (userName) => newUser(iam, userName),
    async keysOf(UserName) {
      const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
      return AccessKeyMetadata.map(({ AccessKeyId = '' }) => AccessKeyId);
    },
    async accepts({ id, value }) {
      const sts = new STSClient({ endpoint, region, credentials: { accessKeyId: id, secretAccessKey: value } });
      try {
        await sts.send(new GetCallerIdentityCommand({}));
        return true;
      } catch (error) {
        if (['InvalidClientTokenId', 'SignatureDoesNotMatch'].includes((error as Error).name)) return false;
        throw error;
      } finally {
        sts.destroy();
      }
    },
    async stop() {
      iam.destroy();
      await stop();
    },
  };
}

async function newUser(iam: IAMClient, UserName: string): Promise<AccessKey> {
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'everything', PolicyDocument: EVERYTHING }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { id: AccessKey?.AccessKeyId ?? '', value: AccessKey?.SecretAccessKey ?? '' };
}

/** A user's access key in a secret, as an application and the rotation see it. */
export interface AccessKeySecret {
  userName: string;
  /** The key that the user had at first. */
  old: AccessKey;
  /** The key that the secondary offers. @throws Error when there is none. */
  offered(): Promise<AccessKey & { graceEndsAt: string; phaseInPercent: number }>;
  /** The key of the primary. */
  current(): Promise<AccessKey>;
}

/** Makes a user with a key, stores it, and declares the secret. */
export async function createAccessKeySecret(
  bed: TimeSkippingTestbed,
  aws: AuthenticatingAws,
  secret: string,
  declaration: Record<string, unknown> = {},
): Promise<AccessKeySecret> {
  const userName = `${bed.environment}-${secret.replaceAll('/', '-')}`;
  const old = await aws.createUser(userName);
  const seen = [old.value];
  bed.alsoSecret(() => seen);
  await bed.secrets.create(secret, JSON.stringify({ keyId: old.id, key: old.value, bucket: 'exports' }));
  await bed.declare({
    [secret]: {
      type: 'api-key',
      provider: { name: 'aws-iam', user: userName },
      fields: { id: 'keyId', value: 'key' },
      gracePeriod: '7 days',
      ...declaration,
    },
  });
  async function keyIn<T extends object>(name: string): Promise<AccessKey & T> {
    const {
      keyId: id,
      key: value,
      ...rest
    } = JSON.parse(await bed.secrets.value(name)) as { keyId: string; key: string };
    seen.push(value);
    return { id, value, ...(rest as T) };
  }
  return { userName, old, offered: () => keyIn(`${secret}-secondary`), current: () => keyIn(secret) };
}
