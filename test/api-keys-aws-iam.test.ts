import { UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { createAwsIamProvider } from '../src/activities/api-keys/aws-iam';
import type { ApiKeyProvider } from '../src/activities/api-keys/provider';
import { Cause } from '../src/rotation/errors';
import type { AwsCredentials } from './lab/aws';
import { startEnforcingAws } from './testbed/enforcing-aws';
import type { EnforcingAws } from './testbed/enforcing-aws';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

const REQUEST = { label: 'keyturn/test/run', idempotencyKey: 'run', since: new Date().toISOString() };

let aws: EnforcingAws;
let bed: Testbed;
const values: string[] = [];
beforeAll(async () => {
  aws = await startEnforcingAws();
  Object.assign(process.env, aws.settings);
  bed = await openTestbed();
  bed.alsoSecret(() => values);
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  await aws.stop();
});

function providerOf(userName: string, iam: Pick<EnforcingAws['iam'], 'send'> = aws.iam): ApiKeyProvider {
  const { endpoint, region } = aws;
  return createAwsIamProvider({ name: 'aws-iam', userName }, iam, { endpoint, region, maxAttempts: 1 }, 'test/key');
}

async function user(name: string): Promise<AwsCredentials> {
  const key = await aws.createUser(name);
  values.push(key.secretAccessKey);
  return key;
}

/** A user with one key, stored and declared as a secret. */
async function declared(name: string, declaration: Record<string, unknown> = {}): Promise<AwsCredentials> {
  const key = await user(name);
  await bed.secrets.create(name, JSON.stringify(key));
  await bed.declare({
    [name]: {
      type: 'api-key',
      provider: { name: 'aws-iam', user: name },
      gracePeriod: '1 second',
      quietPeriod: '0 seconds',
      ...declaration,
    },
  });
  return key;
}

describe('the provider', () => {
  test('creates, lists, tries, deactivates, activates and deletes a key', async () => {
    const first = await user('life');
    const provider = providerOf('life');
    const key = await provider.create(REQUEST);
    values.push(key.value);
    expect(await provider.verify(key)).toBe('accepted');
    expect((await provider.list?.())?.map(({ id, active }) => [id, active])).toEqual([
      [first.accessKeyId, true],
      [key.id, true],
    ]);
    await provider.deactivate?.(key.id);
    expect((await provider.list?.())?.at(-1)).toMatchObject({ id: key.id, active: false });
    await provider.reactivate?.(key.id);
    expect((await provider.list?.())?.at(-1)).toMatchObject({ id: key.id, active: true });
    await provider.delete?.(key.id);
    await provider.delete?.(key.id);
    await provider.deactivate?.(key.id);
    expect(await provider.verify(key)).toBe('refused');
  });

  test('tells when a key was last used', async () => {
    const key = await user('used');
    const provider = providerOf('used');
    expect(await provider.lastUsed?.(key.accessKeyId)).toBeUndefined();
    expect(await aws.accepts(key)).toBe(true);
    expect(Date.parse((await provider.lastUsed?.(key.accessKeyId)) ?? '')).toBeGreaterThan(Date.now() - 60_000);
  });

  test('refuses a wrong value, which proves that the right one was asked about', async () => {
    const key = await user('wrong');
    expect(await providerOf('wrong').verify({ id: key.accessKeyId, value: 'x'.repeat(40) })).toBe('refused');
  });

  test.each([
    ['AccessDenied', 403, Cause.PermissionDenied, 'may not call iam:CreateAccessKey'],
    ['Throttling', 400, Cause.Throttled, 'IAM throttles CreateAccessKey'],
    ['LimitExceeded', 409, Cause.TooManyKeys, 'as many access keys as it may'],
    ['NoSuchEntity', 404, Cause.SecretUnusable, 'no such user'],
    ['InternalFailure', 500, Cause.TargetUnavailable, 'did not answer CreateAccessKey'],
  ])('makes of %s a failure with a message', async (name, status, type, message) => {
    const refusal = Object.assign(new Error(`quotes ${'secret'.repeat(5)}`), {
      name,
      $metadata: { httpStatusCode: status },
    });
    const failing = { send: () => Promise.reject(refusal) } as unknown as Pick<EnforcingAws['iam'], 'send'>;
    await expect(providerOf('nobody', failing).create(REQUEST)).rejects.toMatchObject({
      type,
      message: expect.stringContaining(message) as string,
    });
    await expect(providerOf('nobody', failing).create(REQUEST)).rejects.not.toMatchObject({
      message: expect.stringContaining('secretsecret') as string,
    });
  });
});

describe('a rotation', () => {
  test('replaces the key, and the old one is refused', async () => {
    const old = await declared('billing');
    expect(await bed.rotate('billing')).toMatchObject({ outcome: 'rotated' });
    const now = JSON.parse(await bed.secrets.value('billing')) as AwsCredentials;
    expect(now.accessKeyId).not.toBe(old.accessKeyId);
    expect(await aws.accepts(now)).toBe(true);
    expect(await aws.accepts(old)).toBe(false);
    expect(await aws.keysOf('billing')).toEqual([now.accessKeyId]);
  });

  test('of a user who has two keys is refused with both, their age and last use, and touches neither', async () => {
    const old = await declared('full');
    const other = await aws.createKey('full');
    values.push(other.secretAccessKey);
    expect(await aws.accepts(other)).toBe(true);
    const { type, message } = await failureOf(bed.rotate('full'));
    expect(type).toBe('RotationRefused');
    expect(message).toMatch(new RegExp(`${old.accessKeyId} \\(active, .* old, never used\\)`));
    expect(message).toMatch(new RegExp(`${other.accessKeyId} \\(active, .* old, last used .*\\)`));
    expect(await aws.keysOf('full')).toEqual([old.accessKeyId, other.accessKeyId]);
  });

  test('does not revoke a key that is in use: it waits until it is quiet', async () => {
    const old = await declared('busy', { quietPeriod: '4 seconds', maxGracePeriod: '60 seconds' });
    expect(await aws.accepts(old)).toBe(true);
    const usedAt = Date.now();
    const result = await bed.rotate('busy');
    expect(result.outcome).toBe('rotated');
    expect(result).not.toHaveProperty('warnings');
    expect(Date.now() - usedAt).toBeGreaterThan(3_000);
    expect(await aws.accepts(old)).toBe(false);
  });

  test('rolled back afterwards is refused when the old key is deleted, and works while it is only inactive', async () => {
    const old = await declared('back');
    expect(await bed.rotate('back')).toMatchObject({ outcome: 'rotated' });
    expect(await failureOf(bed.rotate('back', {}, 'rollbackSecret'))).toMatchObject({
      message: expect.stringContaining(`the key ${old.accessKeyId}`) as string,
    });

    const first = await declared('back-in-time');
    const second = await aws.createKey('back-in-time');
    values.push(second.secretAccessKey);
    const version = await bed.secrets.putPending('back-in-time', JSON.stringify(second));
    const { current } = await bed.secrets.labels('back-in-time');
    await bed.secrets.moveCurrent('back-in-time', current ?? '', version);
    await aws.iam.send(
      new UpdateAccessKeyCommand({ UserName: 'back-in-time', AccessKeyId: first.accessKeyId, Status: 'Inactive' }),
    );
    expect(await bed.rotate('back-in-time', {}, 'rollbackSecret')).toMatchObject({ outcome: 'rotated' });
    expect(await bed.secrets.value('back-in-time')).toBe(JSON.stringify(first));
    const keys = await providerOf('back-in-time').list?.();
    expect(keys?.map(({ active }) => active)).toEqual([true, true]);
  });
});
