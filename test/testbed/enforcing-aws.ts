import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { startAws } from '../lab/aws';
import type { AwsCredentials } from '../lab/aws';

/** An AWS of its own that lets nobody in without a key that it has issued; the lab's lets everybody in. */
export interface EnforcingAws {
  endpoint: string;
  region: string;
  /** For the testbed and its workers: where it is, and an administrator's key. */
  settings: Record<string, string>;
  /** The administrator's. */
  credentials: AwsCredentials;
  iam: IAMClient;
  /** Makes an IAM user with a key. */
  createUser(name: string): Promise<AwsCredentials>;
  createKey(user: string): Promise<AwsCredentials>;
  keysOf(user: string): Promise<string[]>;
  accepts(key: AwsCredentials): Promise<boolean>;
  stop(): Promise<void>;
}

const EVERYTHING = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});

export async function startEnforcingAws(): Promise<EnforcingAws> {
  const { AWS_ENDPOINT_URL: shared } = process.env;
  delete process.env['AWS_ENDPOINT_URL'];
  const aws = await startAws(() => undefined).finally(() => Object.assign(process.env, { AWS_ENDPOINT_URL: shared }));
  const { endpoint, region } = aws;
  const clientWith = (credentials: AwsCredentials) => new IAMClient({ endpoint, region, credentials, maxAttempts: 1 });
  const founder = clientWith(aws.credentials);
  const keyFor = async (iam: IAMClient, UserName: string): Promise<AwsCredentials> => {
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
  };
  await founder.send(new CreateUserCommand({ UserName: 'administrator' }));
  await founder.send(
    new PutUserPolicyCommand({ UserName: 'administrator', PolicyName: 'everything', PolicyDocument: EVERYTHING }),
  );
  const credentials = await keyFor(founder, 'administrator');
  founder.destroy();
  // From now on moto checks signatures and policies (moto's documentation, 'IAM-like Access Control').
  const changed = await fetch(`${endpoint}/moto-api/reset-auth`, { method: 'POST', body: '0' });
  if (!changed.ok) throw new Error(`moto does not begin to check signatures (HTTP ${changed.status})`);
  const iam = clientWith(credentials);
  return {
    endpoint,
    region,
    settings: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    credentials,
    iam,
    async createUser(name) {
      await iam.send(new CreateUserCommand({ UserName: name }));
      return keyFor(iam, name);
    },
    createKey: (user) => keyFor(iam, user),
    async keysOf(user) {
      const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName: user }));
      return AccessKeyMetadata.map(({ AccessKeyId = '' }) => AccessKeyId);
    },
    async accepts(key) {
      // A copy: the SDK writes into what it is given.
      const sts = new STSClient({ endpoint, region, credentials: { ...key }, maxAttempts: 1 });
      try {
        await sts.send(new GetCallerIdentityCommand({}));
        return true;
      } catch (error) {
        if (error instanceof Error && error.name === 'InvalidClientTokenId') return false;
        throw error;
      } finally {
        sts.destroy();
      }
    },
    async stop() {
      iam.destroy();
      await aws.stop();
    },
  };
}
