import { randomUUID } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { inLanes } from '../src/rotation/in-lanes';
import { disconnect, handler } from '../src/client/native-rotation/handler';
import { NATIVE_STEPS } from '../src/client/native-rotation/request';
import type { NativeStep } from '../src/client/native-rotation/request';
import { rotationWorkflowId } from '../src/rotation/names';
import { startDependent } from './testbed/dependent';
import { createNativeRotator } from './testbed/native-rotation';
import type { NativeRotator } from './testbed/native-rotation';
import { createSubject, DRAWN_KINDS } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

/** AWS's own rotation starts Keyturn's: the four steps, called as Secrets Manager calls them, and as nobody should. */

let bed: Testbed;
let aws: NativeRotator;

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '10 seconds', rollbackTimeout: '20 seconds' });
  process.env.KEYTURN_TASK_QUEUE = bed.taskQueue;
  aws = createNativeRotator(bed);
  await bed.startWorker();
});
afterAll(async () => {
  await disconnect();
  await bed.close();
});

const at = (secret: string, step: string, when: 'before' | 'after') => ({
  secretId: bed.secrets.idOf(secret),
  step,
  when,
});
const rotationOf = (secret: string) => bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret));

async function appSecret(name: string): Promise<{ secret: string; before: string }> {
  const { secret } = await createSubject(bed, 'app-secret', name);
  return { secret, before: (await bed.secrets.labels(secret)).current ?? '' };
}

const inAnyOrder = (steps: readonly NativeStep[]): NativeStep[][] =>
  steps.length <= 1
    ? [[...steps]]
    : steps.flatMap((first) => inAnyOrder(steps.filter((step) => step !== first)).map((rest) => [first, ...rest]));

describe('the four steps in order', () => {
  test.each(DRAWN_KINDS)('%s: AWSCURRENT is on the version that AWS expects, and it opens its target', async (kind) => {
    const subject = await createSubject(bed, kind, `native/${kind}`);
    const before = await bed.secrets.labels(subject.secret);
    const token = randomUUID();
    await aws.expect(subject.secret, token);
    await aws.callAll(subject.secret, token);
    expect(await bed.secrets.labels(subject.secret)).toEqual({ current: token, previous: before.current });
    expect(await subject.opens()).toBe(true);

    const versions = await bed.secrets.versionIds(subject.secret);
    await aws.callAll(subject.secret, token);
    expect(await bed.secrets.labels(subject.secret)).toEqual({ current: token, previous: before.current });
    expect(await bed.secrets.versionIds(subject.secret)).toEqual(versions);
  });

  test('a second rotation by AWS follows the first', async () => {
    const { secret } = await appSecret('second-rotation');
    const [first, second] = [randomUUID(), randomUUID()];
    for (const token of [first, second]) {
      await aws.expect(secret, token);
      await aws.callAll(secret, token);
    }
    expect(await bed.secrets.labels(secret)).toEqual({ current: second, previous: first });
  });

  test('createSecret returns when the candidate is stored, before AWSCURRENT moves', async () => {
    const { secret, before } = await appSecret('not-promoted-yet');
    const token = randomUUID();
    const point = at(secret, 'promote', 'before');
    await bed.pauses.stopAt(point);
    await aws.expect(secret, token);
    for (const step of ['createSecret', 'setSecret', 'testSecret'] as const) await aws.call(step, secret, token);
    expect(await bed.secrets.labels(secret)).toEqual({ current: before, pending: token });
    await expect(aws.call('finishSecret', secret, token, 4_500)).rejects.toThrow(
      `finishSecret of ${bed.secrets.idOf(secret)} is not done yet: its rotation is at step promote (rotating).`,
    );
    await bed.pauses.goOn(point);
    await aws.call('finishSecret', secret, token);
    expect(await bed.secrets.labels(secret)).toEqual({ current: token, previous: before });
  });

  test('a grace period is not waited for: both logins work, and AWSCURRENT has moved', async () => {
    const { secret } = await createSubject(bed, 'alternating-users', 'grace', { gracePeriod: '2 days' });
    const token = randomUUID();
    await aws.expect(secret, token);
    await aws.callAll(secret, token);
    expect((await bed.secrets.labels(secret)).current).toBe(token);
    expect((await rotationOf(secret).describe()).status.name).toBe('RUNNING');
    await rotationOf(secret).signal('endGracePeriod');
    await rotationOf(secret).result();
  });
});

describe('the four steps in any order', () => {
  test('what comes before createSecret changes nothing, and all is done when each has been called after it', async () => {
    await inLanes(inAnyOrder(NATIVE_STEPS), 4, async (order) => {
      const { secret, before } = await appSecret(`order/${order.map((step) => step[0]).join('')}`);
      const token = randomUUID();
      await aws.expect(secret, token);
      let created = false;
      for (const step of order) {
        created ||= step === 'createSecret';
        const called = aws.call(step, secret, token);
        // A testSecret that comes first is AWS's test of the configuration.
        if (created || step === 'testSecret') await called;
        else await expect(called).rejects.toThrow(`${step} of ${bed.secrets.idOf(secret)} came before createSecret`);
        if (!created) expect(await bed.secrets.labels(secret)).toEqual({ current: before, pending: token });
      }
      await aws.call('finishSecret', secret, token);
      expect(await bed.secrets.labels(secret)).toEqual({ current: token, previous: before });
    });
  });

  test('twenty calls at once make one version', async () => {
    const { secret, before } = await appSecret('at-once');
    const token = randomUUID();
    await aws.expect(secret, token);
    const calls = Array.from({ length: 5 }, () => NATIVE_STEPS).flat();
    await Promise.allSettled(calls.map((step) => aws.call(step, secret, token)));
    await aws.callAll(secret, token);
    expect(await bed.secrets.labels(secret)).toEqual({ current: token, previous: before });
    expect((await bed.secrets.versionIds(secret)).sort()).toEqual([before, token].sort());
  });
});

describe('a rotation that fails', () => {
  test('testSecret says why the candidate was refused, and AWSCURRENT is where it was and works', async () => {
    const subject = await createSubject(bed, 'alternating-users', 'refused');
    const before = await bed.secrets.labels(subject.secret);
    const token = randomUUID();
    const point = at(subject.secret, 'loginWithCandidate', 'before');
    await bed.pauses.stopAt(point);
    await aws.expect(subject.secret, token);
    await aws.call('createSecret', subject.secret, token);
    await aws.call('setSecret', subject.secret, token);
    await bed.pauses.reached(point);
    const { username } = JSON.parse(await bed.secrets.value(subject.secret, 'AWSPENDING')) as { username: string };
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
    await bed.pauses.goOn(point);
    await expect(aws.call('testSecret', subject.secret, token)).rejects.toMatchObject({
      name: 'RotationRolledBack',
      message: expect.stringMatching(/was not rotated, and what was done is undone. loginWithCandidate failed: /),
    });
    expect(await bed.secrets.labels(subject.secret)).toEqual(before);
    expect(await subject.opens()).toBe(true);

    // AWS tries all four again with the same token, which carries AWSPENDING no more.
    await expect(aws.call('createSecret', subject.secret, token)).rejects.toThrow(
      `Secrets Manager does not expect version ${token}`,
    );
    expect(await bed.secrets.labels(subject.secret)).toEqual(before);
  });

  test('finishSecret says which workload did not get healthy, and the next rotation by AWS succeeds', async () => {
    const dependent = await startDependent('shop', '1 second');
    try {
      const { secret } = await createSubject(bed, 'app-secret', 'unhealthy', { dependents: [dependent.declaration] });
      const { current } = await bed.secrets.labels(secret);
      dependent.answer(() => Promise.resolve(dependent.asked > 1 ? 200 : 503));
      const token = randomUUID();
      const point = at(secret, 'promote', 'before');
      await bed.pauses.stopAt(point);
      await aws.expect(secret, token);
      for (const step of ['createSecret', 'setSecret', 'testSecret'] as const) await aws.call(step, secret, token);
      await bed.pauses.goOn(point);
      await expect(aws.call('finishSecret', secret, token)).rejects.toThrow('shop');
      expect((await bed.secrets.labels(secret)).current).toBe(current);
      const again = randomUUID();
      await aws.expect(secret, again);
      await aws.callAll(secret, again);
      expect((await bed.secrets.labels(secret)).current).toBe(again);
    } finally {
      await dependent.stop();
    }
  });

  test('an abort by an operator fails the step, and undoes', async () => {
    const { secret, before } = await appSecret('aborted');
    const token = randomUUID();
    const point = at(secret, 'promote', 'before');
    await bed.pauses.stopAt(point);
    await aws.expect(secret, token);
    await aws.call('createSecret', secret, token);
    await rotationOf(secret).signal('abort', { reason: 'not today', requestedBy: 'night shift' });
    await bed.pauses.goOn(point);
    await expect(aws.call('finishSecret', secret, token)).rejects.toThrow('was aborted by night shift: not today');
    expect(await bed.secrets.labels(secret)).toEqual({ current: before });
  });

  test('one that was terminated after the password was set is begun again with the same version', async () => {
    const subject = await createSubject(bed, 'single-user', 'terminated');
    const { current } = await bed.secrets.labels(subject.secret);
    const token = randomUUID();
    const point = at(subject.secret, 'setPassword', 'after');
    await bed.pauses.stopAt(point);
    await aws.expect(subject.secret, token);
    await aws.call('createSecret', subject.secret, token);
    await bed.pauses.reached(point);
    await rotationOf(subject.secret).terminate('by mistake');
    await bed.pauses.goOn(point);
    await expect(aws.call('testSecret', subject.secret, token)).rejects.toThrow();
    await aws.callAll(subject.secret, token);
    expect(await bed.secrets.labels(subject.secret)).toEqual({ current: token, previous: current });
    expect(await subject.opens()).toBe(true);
  });
});

describe('what AWS has not asked for', () => {
  test('a second token is refused while another is expected, and changes nothing', async () => {
    const { secret, before } = await appSecret('two-tokens');
    const [expected, other] = [randomUUID(), randomUUID()];
    await aws.expect(secret, expected);
    await expect(aws.call('createSecret', secret, other)).rejects.toThrow(
      `Secrets Manager does not expect version ${other} of ${bed.secrets.idOf(secret)}: AWSPENDING is on ${expected}.`,
    );
    expect(await bed.secrets.labels(secret)).toEqual({ current: before, pending: expected });
    await aws.callAll(secret, expected);
    expect((await bed.secrets.labels(secret)).current).toBe(expected);
  });

  test('an old version does not come back because somebody can invoke the function', async () => {
    const { secret, before } = await appSecret('old-version');
    const token = randomUUID();
    await aws.expect(secret, token);
    await aws.callAll(secret, token);
    await expect(aws.call('createSecret', secret, before)).rejects.toThrow('AWSPENDING is on no version');
    expect(await bed.secrets.labels(secret)).toEqual({ current: token, previous: before });
  });

  test('a secret whose rotation by AWS is off is not rotated', async () => {
    const { secret, before } = await appSecret('off');
    await expect(aws.call('createSecret', secret, randomUUID())).rejects.toThrow('its own rotation is off');
    expect(await bed.secrets.labels(secret)).toEqual({ current: before });
  });

  test('a token that is AWSCURRENT already is done', async () => {
    const { secret } = await appSecret('current-already');
    const token = randomUUID();
    await aws.expect(secret, token);
    await aws.callAll(secret, token);
    const { secret: other, before } = await appSecret('current-before');
    await aws.expect(other, randomUUID());
    await aws.callAll(other, before);
    expect((await bed.secrets.labels(other)).current).toBe(before);
  });

  test('a secret that the catalog does not declare is refused', async () => {
    const token = randomUUID();
    await bed.secrets.create('undeclared', 'not-in-the-catalog');
    await aws.expect('undeclared', token);
    await expect(aws.call('createSecret', 'undeclared', token)).rejects.toThrow(/undeclared was not rotated/);
    expect((await bed.secrets.labels('undeclared')).pending).toBe(token);
  });

  test('an API key is refused, whose grace period is longer than a step of AWS may take', async () => {
    const { secret } = await createSubject(bed, 'api-key', 'native/key');
    const token = randomUUID();
    await aws.expect(secret, token);
    await expect(aws.call('createSecret', secret, token)).rejects.toThrow(
      'AWS cannot start the rotation of an API key',
    );
    expect((await bed.secrets.labels(secret)).current).not.toBe(token);
  });

  test('a rotation by hand that is under way goes on, and AWS is told of it', async () => {
    const { secret, before } = await appSecret('by-hand');
    const point = at(secret, 'createCandidate', 'before');
    await bed.pauses.stopAt(point);
    const byHand = await bed.start(secret);
    await bed.pauses.reached(point);
    const token = randomUUID();
    await aws.expect(secret, token);
    await expect(aws.call('createSecret', secret, token)).rejects.toThrow(/rotateAppSecret runs since .* by tester/);
    await bed.pauses.goOn(point);
    expect(await byHand.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.secrets.labels(secret)).toEqual({ current: byHand.firstExecutionRunId, previous: before });
  });

  test('once AWS rotates a secret, a rotation by hand is refused', async () => {
    const { secret } = await appSecret('not-by-hand');
    await aws.expect(secret, randomUUID());
    await expect(bed.rotate(secret)).rejects.toMatchObject({
      cause: { message: expect.stringContaining('two rotators would undo') },
    });
  });
});

describe("AWS's test of the configuration", () => {
  test('testSecret alone only looks', async () => {
    const subject = await createSubject(bed, 'single-user', 'configuration');
    const { current } = await bed.secrets.labels(subject.secret);
    const token = randomUUID();
    await aws.expectTest(subject.secret, token);
    await aws.call('testSecret', subject.secret, token);
    expect(await bed.secrets.labels(subject.secret)).toEqual({ current, pending: token });
    expect(await subject.opens()).toBe(true);
  });

  test('it fails for a login that does not work', async () => {
    const subject = await createSubject(bed, 'single-user', 'locked-configuration');
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(subject.logins[0] ?? '')} NOLOGIN`);
    const token = randomUUID();
    await aws.expectTest(subject.secret, token);
    await expect(aws.call('testSecret', subject.secret, token)).rejects.toThrow('was not rotated');
  });
});

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:dev/jwt-secret-a1B2c3';
const GOOD = { Step: 'createSecret', SecretId: ARN, ClientRequestToken: randomUUID() };
const secondsLeft = { getRemainingTimeInMillis: () => 10_000 };

test.each([
  ['no object', 'createSecret', /Step is none of/],
  ['nothing', undefined, /Step is none of/],
  ['an unknown step', { ...GOOD, Step: 'deleteSecret' }, /Step is none of/],
  ['a name in place of the ARN', { ...GOOD, SecretId: 'dev/jwt-secret' }, /SecretId is not the ARN/],
  ['a secret outside of every environment', { ...GOOD, SecretId: ARN.replace('dev/', '') }, /SecretId is not the ARN/],
  ['an ARN of something else', { ...GOOD, SecretId: 'arn:aws:sns:eu-central-1:123456789012:x' }, /is not the ARN/],
  ['a short token', { ...GOOD, ClientRequestToken: 'abc' }, /ClientRequestToken is not 32 to 64/],
  ['a token of other characters', { ...GOOD, ClientRequestToken: '/'.repeat(32) }, /ClientRequestToken is not 32/],
  ['a token that is no text', { ...GOOD, ClientRequestToken: 7 }, /ClientRequestToken is not 32/],
])('an event with %s is refused in one sentence', async (_, event, message) => {
  const failure = await handler(event, secondsLeft).catch((error: unknown) => error);
  expect(failure).toMatchObject({ name: 'StepRefused', message: expect.stringMatching(message) });
  expect((failure as Error).message).toMatch(/Nothing was started or changed\.$/);
});
