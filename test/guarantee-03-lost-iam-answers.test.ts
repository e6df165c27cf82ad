import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, ListAccessKeysCommand } from '@aws-sdk/client-iam';
import { startFaultProxy } from './lab/fault-proxy';
import type { FaultProxy } from './lab/fault-proxy';
import { keyDocument } from './testbed/api-keys';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let aws: FaultProxy;
let iam: IAMClient;
const values: string[] = [];

const INVALID =
  '<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>invalid</Message></Error></ErrorResponse>';
const REFUSAL = [
  'HTTP/1.1 403 Forbidden',
  'Content-Type: text/xml',
  `Content-Length: ${INVALID.length}`,
  'Connection: close',
  '',
  INVALID,
].join('\r\n');

/** What moto does not do: it lets a key in that is gone. */
function refuseOnceDeactivated(accessKeyId: string): void {
  let deactivated = false;
  aws.answerWith(
    (bytes) => {
      deactivated ||= bytes.includes('Action=UpdateAccessKey&') && bytes.includes(accessKeyId);
      return deactivated && bytes.includes('Action=GetCallerIdentity&') && bytes.includes(`Credential=${accessKeyId}/`);
    },
    REFUSAL,
    100,
  );
}

beforeAll(async () => {
  aws = await startFaultProxy(Number(new URL(process.env['AWS_ENDPOINT_URL'] ?? '').port));
  bed = await openTestbed({ stepTimeout: '2 minutes' });
  iam = new IAMClient({});
  bed.alsoSecret(() => values);
  await bed.startWorker({ AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` });
});
afterAll(() => bed.close());
afterAll(async () => {
  iam.destroy();
  await aws.stop();
});

test.each(['CreateAccessKey', 'UpdateAccessKey', 'DeleteAccessKey', 'ListAccessKeys', 'GetCallerIdentity'])(
  'an IAM user ends with one new access key when the answer to %s is lost',
  async (action) => {
    const secret = `iam-${action}`;
    const UserName = `${bed.environment}-${action}`;
    await iam.send(new CreateUserCommand({ UserName }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '' } = AccessKey ?? {};
    values.push(secretAccessKey);
    await bed.secrets.create(secret, JSON.stringify({ accessKeyId, secretAccessKey }));
    await bed.declare({
      [secret]: {
        type: 'api-key',
        provider: { name: 'aws-iam', user: UserName },
        gracePeriod: '1 second',
        quietPeriod: '0 seconds',
      },
    });
    let lost = false;
    aws.cutAfterAnswer((bytes) => (lost ||= bytes.includes(`Action=${action}&`)));
    refuseOnceDeactivated(accessKeyId);
    expect(await bed.rotate(secret)).toMatchObject({ outcome: 'rotated' });
    expect(lost).toBe(true);
    const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
    const document = await keyDocument(bed, secret);
    values.push(String(document?.['secretAccessKey']));
    expect(AccessKeyMetadata.map((key) => key.AccessKeyId)).toEqual([document?.['accessKeyId']]);
    expect(document?.['accessKeyId']).not.toBe(accessKeyId);
    expect(await keyDocument(bed, `${secret}-secondary`)).toBeUndefined();
  },
);
