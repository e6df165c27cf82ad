import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, ListAccessKeysCommand } from '@aws-sdk/client-iam';
import type { AccessKey } from '@aws-sdk/client-iam';
import type { Point } from './testbed/pauses';
import { accepted, keyDocument } from './testbed/api-keys';
import { createKeySubjects, expectAsBefore, expectRotated, keySituationOf } from './testbed/key-subjects';
import type { KeySubject, KeySubjectOptions, KeySubjects } from './testbed/key-subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { inPhase } from './testbed/watching';

let bed: Testbed;
let subjects: KeySubjects;

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '20 seconds' });
  subjects = createKeySubjects(bed);
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(() => subjects.stop());

/** A service that knows no names of keys: a lost key is found by what was there before. */
const nameless: KeySubjectOptions['provider'] = ({ list, ...provider }) => ({
  ...provider,
  list: { ...list, label: undefined },
});
const SERVICES: [string, KeySubjectOptions][] = [
  ['names its keys', {}],
  ['knows no names of keys', { provider: nameless }],
];

/** Starts a rotation, and terminates it when it has done a step. */
async function terminateAfter({ secret, secretId }: KeySubject, step: string): Promise<void> {
  const point: Point = { secretId, step, when: 'after' };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  await handle.terminate('by a test');
  await bed.pauses.goOn(point);
}

/** Starts a rotation, and terminates it when the service has created a key of which nobody gets to know. */
async function terminateInCreateKey({ secret, service }: KeySubject): Promise<void> {
  service.loseAnswers('POST /keys');
  const handle = await bed.start(secret);
  await until('the service has created the key', () => Promise.resolve(service.keys().length === 2), { everyMs: 5 });
  await handle.terminate('by a test');
}

async function terminateInGrace({ secret }: KeySubject): Promise<void> {
  const handle = await bed.start(secret, { gracePeriod: '1 hour' });
  await inPhase(handle, 'grace-period');
  await handle.terminate('by a test');
}

describe.each(SERVICES)('at a service that %s, where two keys are the most', (what, options) => {
  test.each<[string, number, (subject: KeySubject) => Promise<void>]>([
    ['after prepareSecondary', 1, (subject) => terminateAfter(subject, 'prepareSecondary')],
    ['in createKey, after the service created the key', 2, terminateInCreateKey],
    ['after createKey', 2, (subject) => terminateAfter(subject, 'createKey')],
    ['after storeSecondary', 2, (subject) => terminateAfter(subject, 'storeSecondary')],
    ['in the grace period', 2, terminateInGrace],
    ['after stageCandidate', 2, (subject) => terminateAfter(subject, 'stageCandidate')],
    ['after promote', 2, (subject) => terminateAfter(subject, 'promote')],
    ['after deactivateKey', 2, (subject) => terminateAfter(subject, 'deactivateKey')],
    ['after deleteKey', 1, (subject) => terminateAfter(subject, 'deleteKey')],
  ])('what a rotation that was terminated %s left is cleaned up by the next one', async (where, keys, terminate) => {
    const subject = await subjects.create(`${what}/${where}`.replaceAll(/[ ,]+/g, '-'), options);
    await terminate(subject);
    expect(subject.service.keys()).toHaveLength(keys);
    const { current } = await keySituationOf(bed, subject);
    expect(current?.accepted).toBe(true);
    await expectRotated(bed, subject, await bed.rotate(subject.secret));
  });
});

describe('of a rotation that was terminated after promote', () => {
  test('an old key that somebody still uses is left alone, with what can be done', async () => {
    const subject = await subjects.create('still-used', { declaration: { quietPeriod: '1 hour' } });
    await terminateAfter(subject, 'promote');
    expect(await accepted(subject.service, subject.old.value)).toBe(true);
    const before = await keySituationOf(bed, subject);
    const failure = await failureOf(bed.rotate(subject.secret));
    expect(failure).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'KeyStillUsed' } } });
    expect(failure.message).toContain(subject.old.id);
    expect(failure.message).toContain('Rotate again when nobody uses it');
    expect(failure.message).toContain('--emergency');
    expect(await keySituationOf(bed, subject)).toEqual(before);
    await expectRotated(bed, subject, await bed.rotate(subject.secret, { emergency: true }));
  });

  test('an old key of which the service cannot tell is left alone too', async () => {
    const subject = await subjects.create('cannot-tell', {
      provider: ({ list, ...provider }) => ({ ...provider, list: { ...list, lastUsedAt: undefined } }),
    });
    await terminateAfter(subject, 'promote');
    expect((await failureOf(bed.rotate(subject.secret))).message).toContain('cannot tell whether somebody uses it');
    subject.service.remove(subject.old.id);
    await expectRotated(bed, subject, await bed.rotate(subject.secret));
  });
});

describe('a secondary that somebody else made', () => {
  test.each([
    ['JSON of their own', '{"key": "somebody-elses-own-key"}'],
    ['JSON with a field keyturn of their own', '{"keyturn": {"rotation": 7}}'],
    ['a text', 'a text of somebody else'],
  ])('with %s is refused and left alone', async (what, text) => {
    const subject = await subjects.create(`foreign-${what.length}`);
    await bed.secrets.create(subject.secondary, text);
    const failure = await failureOf(bed.rotate(subject.secret));
    expect(failure.type).toBe('RotationRefused');
    expect(failure.message).toContain(`${subject.secretId}-secondary`);
    expect(await bed.secrets.value(subject.secondary)).toBe(text);
    expect(subject.service.keys()).toHaveLength(1);
    expect(await accepted(subject.service, subject.old.value)).toBe(true);
    expect((await bed.secrets.labels(subject.secret)).current).toBe(subject.oldVersion);
  });
});

describe.each(SERVICES)('a key that a person made meanwhile at a service that %s', (what, options) => {
  const named = (where: string) => `${what}/person-${where}`.replaceAll(/[ ,]+/g, '-');
  const roomy = { ...options, maxKeys: 5 };

  test.each(['prepareSecondary', 'createKey', 'promote', 'deactivateKey'])(
    'is left alone, when it was made before %s',
    async (step) => {
      const subject = await subjects.create(named(step), roomy);
      const point: Point = { secretId: subject.secretId, step, when: 'before' };
      await bed.pauses.stopAt(point);
      const handle = await bed.start(subject.secret);
      await bed.pauses.reached(point);
      const theirs = subject.service.issue('made by a person');
      await bed.pauses.goOn(point);
      await handle.result();
      expect(subject.service.keys().map(({ id }) => id)).toContain(theirs.id);
      expect(subject.service.keys()).toHaveLength(2);
      expect(await accepted(subject.service, theirs.value)).toBe(true);
    },
  );

  test('is left alone by the next rotation, when it was made before a terminated one had asked for a key', async () => {
    const subject = await subjects.create(named('terminated'), roomy);
    await terminateAfter(subject, 'prepareSecondary');
    const theirs = subject.service.issue('made by a person');
    await bed.rotate(subject.secret);
    expect(subject.service.keys().map(({ id }) => id)).toContain(theirs.id);
    expect(subject.service.keys()).toHaveLength(2);
  });

  test('is left alone, and said to be in the way, when it is used and an answer was lost at the same time', async () => {
    const subject = await subjects.create(named('used'), roomy);
    subject.service.loseAnswers('POST /keys');
    const handle = await bed.start(subject.secret);
    await until('the key is created', () => Promise.resolve(subject.service.keys().length === 2), { everyMs: 5 });
    const theirs = subject.service.issue('made by a person');
    await accepted(subject.service, theirs.value);
    const ended = await failureOf(handle.result()).catch(() => undefined);
    if ('provider' in options) {
      expect(ended).toMatchObject({ type: 'RollbackIncomplete', details: { cause: { type: 'KeyNotOurs' } } });
      expect(ended?.message).toContain(`${theirs.id} (active, `);
      expect(ended?.message).toContain('Find out whose it is');
    } else {
      expect(ended).toBeUndefined();
      expect(subject.service.keys()).toHaveLength(2);
    }
    expect(subject.service.keys().map(({ id }) => id)).toContain(theirs.id);
    expect((await keySituationOf(bed, subject)).current?.accepted).toBe(true);
  });
});

test('an IAM user with two access keys is refused with both, their age and last use, and keeps them', async () => {
  const iam = new IAMClient({});
  try {
    const UserName = `${bed.environment}-full`;
    await iam.send(new CreateUserCommand({ UserName }));
    const made = [1, 2].map(() => iam.send(new CreateAccessKeyCommand({ UserName })));
    const keys = (await Promise.all(made)).map(({ AccessKey = {} }) => AccessKey as Required<AccessKey>);
    bed.alsoSecret(() => keys.map(({ SecretAccessKey = '' }) => SecretAccessKey));
    const [accessKeyId, secretAccessKey] = [keys[0]?.AccessKeyId, keys[0]?.SecretAccessKey];
    await bed.secrets.create('iam-full', JSON.stringify({ accessKeyId, secretAccessKey }));
    await bed.declare({ 'iam-full': { type: 'api-key', provider: { name: 'aws-iam', user: UserName } } });
    const failure = await failureOf(bed.rotate('iam-full'));
    expect(failure).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'TooManyKeys' } } });
    for (const { AccessKeyId } of keys) {
      expect(failure.message).toMatch(new RegExp(`${AccessKeyId} \\(active, .+ old, (never used|last used \\S+Z)\\)`));
    }
    const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
    expect(AccessKeyMetadata).toHaveLength(2);
    expect(await keyDocument(bed, 'iam-full-secondary')).toBeUndefined();
  } finally {
    iam.destroy();
  }
});

test('an account that is full refuses the key, and all is as before', async () => {
  const subject = await subjects.create('full', { maxKeys: 1 });
  const failure = await failureOf(bed.rotate(subject.secret));
  expect(failure).toMatchObject({ type: 'RotationRolledBack', details: { cause: { type: 'TooManyKeys' } } });
  await expectAsBefore(bed, subject);
});

describe('going back', () => {
  const rollback = (secret: string) => bed.rotate(secret, {}, 'rollbackSecret');

  test('after a rotation that has deleted the old key is refused, and nothing is changed', async () => {
    const subject = await subjects.create('gone');
    await bed.rotate(subject.secret);
    const before = await keySituationOf(bed, subject);
    const failure = await failureOf(rollback(subject.secret));
    expect(failure).toMatchObject({ details: { cause: { type: 'NothingToRollBackTo' } } });
    expect(failure.message).toContain('is revoked; there is nothing to go back to');
    expect(await keySituationOf(bed, subject)).toEqual(before);
  });

  test('works while the old key still exists, and activates it again', async () => {
    const subject = await subjects.create('kept');
    subject.service.answerWith('DELETE /keys/:id', { status: 403 }, 100);
    expect(await failureOf(bed.rotate(subject.secret))).toMatchObject({ type: 'RetirementIncomplete' });
    const { current } = await bed.secrets.labels(subject.secret);
    expect(subject.service.keys()).toMatchObject([{ id: subject.old.id, active: false }, { active: true }]);
    subject.service.endFaults();
    expect(await rollback(subject.secret)).toMatchObject({
      outcome: 'rotated',
      versions: { previous: current, current: subject.oldVersion },
    });
    expect((await keyDocument(bed, subject.secret))?.keyId).toBe(subject.old.id);
    expect(await accepted(subject.service, subject.old.value)).toBe(true);
    await expectRotated(bed, subject, await bed.rotate(subject.secret));
  });
});
