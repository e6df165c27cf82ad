import type { RotationResult } from '../src/rotation/types';
import type { WorkerProcess } from './lab/worker-process';
import { accepted } from './testbed/api-keys';
import { createKeySubjects, expectAsBefore, expectRotated } from './testbed/key-subjects';
import type { KeySubject, KeySubjectOptions, KeySubjects } from './testbed/key-subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { statusOf } from './testbed/watching';

let bed: Testbed;
let subjects: KeySubjects;
let worker: WorkerProcess;

beforeAll(async () => {
  bed = await openTestbed();
  subjects = createKeySubjects(bed);
  worker = await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(() => subjects.stop());

const QUIET_MS = 3_000;
const declaration = { quietPeriod: '3 seconds', maxGracePeriod: '15 seconds' };

/** Uses the old key as an application does that nobody has told of the new one. */
function keepUsingOldKey({ service, old }: KeySubject) {
  let lastUse = 0;
  const timer = setInterval(() => {
    void accepted(service, old.value).then(
      (lets) => {
        if (lets) lastUse = Date.now();
      },
      () => clearInterval(timer),
    );
  }, 200);
  return {
    stop() {
      clearInterval(timer);
      return lastUse;
    },
  };
}

/** What people were told of a secret, from the worker's log. */
function told({ secret }: KeySubject): { about: string; message: string }[] {
  return worker
    .output()
    .split('\n')
    .filter((line) => line.includes('"notification"'))
    .map((line) => JSON.parse(line) as { about: string; message: string; secret: string })
    .filter((line) => line.secret === secret && line.about === 'still-used');
}

const isWaiting = (handle: Parameters<typeof statusOf>[0]) =>
  until('it waits for the old key to be quiet', async () => {
    const { step, phase } = await statusOf(handle);
    return step === 'waitForQuiet' && phase === 'grace-period';
  });

test('a key that is used is not revoked before it has been quiet for the whole quiet period', async () => {
  const subject = await subjects.create('prolonged', { declaration });
  const use = keepUsingOldKey(subject);
  const handle = await bed.start(subject.secret);
  await isWaiting(handle);
  const first = (await statusOf(handle)).graceEndsAt ?? '';
  await until('it is prolonged', async () => ((await statusOf(handle)).graceEndsAt ?? '') > first);
  const lastUse = use.stop();
  expect(await accepted(subject.service, subject.old.value)).toBe(true);
  const result = (await handle.result()) as RotationResult;
  expect(result.warnings).toBeUndefined();
  const retired = (await statusOf(handle)).steps.find(({ name }) => name === 'deactivateKey');
  expect(Date.parse(retired?.startedAt ?? '')).toBeGreaterThanOrEqual(lastUse + QUIET_MS);
  expect(Date.parse(retired?.startedAt ?? '')).toBeLessThan(lastUse + QUIET_MS + 3_000);
  await expectRotated(bed, subject, result);
  expect(told(subject)).toHaveLength(1);
  expect(told(subject)[0]?.message).toContain(`keyturn end-grace ${subject.secretId}`);
});

test('a key that is quiet already is revoked without waiting', async () => {
  const subject = await subjects.create('quiet', { declaration: { ...declaration, gracePeriod: '4 seconds' } });
  const handle = await bed.start(subject.secret);
  await expectRotated(bed, subject, await handle.result());
  const { steps } = await statusOf(handle);
  const look = steps.find(({ name }) => name === 'waitForQuiet');
  expect(Date.parse(look?.endedAt ?? '') - Date.parse(look?.startedAt ?? '')).toBeLessThan(1_500);
  expect(told(subject)).toEqual([]);
});

describe('a key that is still used at the end of the longest grace period', () => {
  const shortest = { ...declaration, maxGracePeriod: '5 seconds' };

  test('stays where the catalog says fail: the rotation is undone, and the new key is gone', async () => {
    const subject = await subjects.create('fail', { declaration: { ...shortest, onStillUsed: 'fail' } });
    const use = keepUsingOldKey(subject);
    const failure = await failureOf(bed.rotate(subject.secret));
    use.stop();
    expect(failure).toMatchObject({
      type: 'RotationRolledBack',
      details: {
        step: 'waitForQuiet',
        cause: { type: 'KeyStillUsed', message: expect.stringContaining(subject.old.id) as string },
      },
    });
    expect(failure.message).toContain('Find out who uses it and rotate again');
    await expectAsBefore(bed, subject);
    expect(told(subject)).toHaveLength(2);
  });

  test('is revoked with a warning where the catalog says revoke', async () => {
    const subject = await subjects.create('revoke', { declaration: { ...shortest, onStillUsed: 'revoke' } });
    const use = keepUsingOldKey(subject);
    const result = await bed.rotate(subject.secret);
    use.stop();
    await expectRotated(bed, subject, result);
    expect(result.warnings).toEqual([
      expect.stringMatching(/was last used at \S+Z, .* it was revoked, as the catalog/),
    ]);
    expect(result.warnings?.[0]).toContain(subject.old.id);
    expect(told(subject)).toHaveLength(2);
  });

  test('is revoked with a warning when an operator ends the waiting', async () => {
    const subject = await subjects.create('ended', {
      declaration: { ...declaration, quietPeriod: '1 hour', maxGracePeriod: '1 day' },
    });
    const use = keepUsingOldKey(subject);
    const handle = await bed.start(subject.secret);
    await isWaiting(handle);
    await handle.executeUpdate('endGracePeriod', { args: [{ reason: 'the last one is known' }] });
    const result = (await handle.result()) as RotationResult;
    use.stop();
    await expectRotated(bed, subject, result);
    expect(result.warnings).toEqual([expect.stringContaining('an operator ended the waiting')]);
  });

  test('is left alone when an operator aborts during the waiting', async () => {
    const subject = await subjects.create('aborted', {
      declaration: { ...declaration, quietPeriod: '1 hour', maxGracePeriod: '1 day' },
    });
    const use = keepUsingOldKey(subject);
    const handle = await bed.start(subject.secret);
    await isWaiting(handle);
    expect((await statusOf(handle)).pastPointOfNoReturn).toBe(false);
    await handle.executeUpdate('abort', { args: [{}] });
    expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
    use.stop();
    await expectAsBefore(bed, subject);
  });
});

test('that the rotation itself has tried the old key does not count as use', async () => {
  const subject = await subjects.create('own-use', {
    declaration: { ...declaration, quietPeriod: '1 hour', maxGracePeriod: '1 day' },
  });
  await expectRotated(bed, subject, await bed.rotate(subject.secret));
  expect(told(subject)).toEqual([]);
});

test('a service that cannot tell when a key was used is not asked, and nobody waits', async () => {
  const silent: KeySubjectOptions['provider'] = ({ list, ...provider }) => ({
    ...provider,
    list: { ...list, lastUsedAt: undefined },
  });
  const subject = await subjects.create('silent', {
    declaration: { ...declaration, quietPeriod: '1 hour', maxGracePeriod: '1 day' },
    provider: silent,
  });
  const use = keepUsingOldKey(subject);
  const handle = await bed.start(subject.secret);
  const result = await handle.result();
  use.stop();
  await expectRotated(bed, subject, result);
  expect((await statusOf(handle)).steps.find(({ name }) => name === 'waitForQuiet')).toMatchObject({
    state: 'skipped',
  });
});

describe('a leaked key', () => {
  const long = { declaration: { gracePeriod: '1 hour', quietPeriod: '1 hour' } };

  test('is revoked at once, although it is used and the catalog grants it days', async () => {
    const subject = await subjects.create('leaked', long);
    const use = keepUsingOldKey(subject);
    const handle = await bed.start(subject.secret, { emergency: true, gracePeriod: '1 hour' });
    await expectRotated(bed, subject, await handle.result());
    use.stop();
    const { steps } = await statusOf(handle);
    for (const skipped of ['confirmCurrentKey', 'gracePeriod', 'waitForQuiet']) {
      expect(steps.find(({ name }) => name === skipped)).toMatchObject({ state: 'skipped' });
    }
  });

  test.each([
    ['removed', ({ service, old }: KeySubject) => Promise.resolve(service.remove(old.id))],
    [
      'deactivated',
      async ({ service, old }: KeySubject) => {
        await fetch(`${service.url}/keys/${old.id}/deactivate`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${service.adminToken}` },
        });
      },
    ],
  ])('that somebody has %s at the service already is replaced all the same', async (what, revoke) => {
    const subject = await subjects.create(`leaked-${what}`, long);
    await revoke(subject);
    // Without --emergency it is refused, because something is wrong that nobody has mentioned.
    expect(await failureOf(bed.rotate(subject.secret))).toMatchObject({
      type: 'RotationRefused',
      details: { cause: { type: 'CurrentCredentialRefused' } },
    });
    await expectRotated(bed, subject, await bed.rotate(subject.secret, { emergency: true }));
  });
});
