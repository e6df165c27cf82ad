import { UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier } from 'pg';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { RollbackIncompleteDetails, RolledBackDetails } from '../src/rotation/errors';
import { startFaultProxy } from './lab/fault-proxy';
import { keyDocument } from './testbed/api-keys';
import { startDependent } from './testbed/dependent';
import { createSubject, KINDS } from './testbed/subjects';
import type { Kind, Subject } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { arrived, auditOf, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
/** What the tests started; stopped in the end. */
const started: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  bed = await openTestbed();
  await bed.startWorker();
});
afterAll(async () => {
  for (const part of started) await part.stop();
  await bed.close();
});

/** A secret whose rotation fails at deliver, after all that can be undone was done; `recover` makes its dependent healthy again. */
interface Doomed extends Subject {
  handle: WorkflowHandleWithFirstExecutionRunId;
  /** Lets deliver, before which the rotation stands still, fail. */
  fail(): Promise<void>;
  recover(): void;
}

/** @param fields merged into the secret's JSON. */
async function startDoomed(kind: Kind, name: string, declaration: object = {}, fields = {}): Promise<Doomed> {
  const dependent = await startDependent('shop', '1 second');
  started.push(dependent);
  const secret = `${name}/${kind}`;
  const subject = await createSubject(
    bed,
    kind,
    secret,
    { dependents: [dependent.declaration], ...declaration },
    fields,
  );
  await bed.rotate(secret);
  // Both logins of a pair are as Keyturn leaves them only after both have had their turn.
  if (kind === 'alternating-users') await bed.rotate(secret);
  const point = { secretId: bed.secrets.idOf(secret), step: 'deliver', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  dependent.answer(503);
  return {
    ...subject,
    handle,
    fail: () => bed.pauses.goOn(point),
    recover: () => dependent.answer(200),
  };
}

/** @param key the public ID of the key that is undone. */
const UNDONE: Record<Kind, (id: string, before: string, key: string) => string[]> = {
  'app-secret': (id, before) => [
    `move AWSCURRENT of ${id} back to ${before}`,
    'deliver the old version to shop again',
    `discard the candidate of ${id}`,
  ],
  'single-user': (id, before) => [
    `move AWSCURRENT of ${id} back to ${before}`,
    `set the login's password back to the one that ${id} had`,
    'deliver the old version to shop again',
    `discard the candidate of ${id}`,
  ],
  'alternating-users': (id, before) => [
    `move AWSCURRENT of ${id} back to ${before}`,
    'deliver the old version to shop again',
    'give the login that is not in use its earlier password again',
    `discard the candidate of ${id}`,
  ],
  'api-key': (id, before, key) => [
    `move AWSCURRENT of ${id} back to ${before}`,
    `take the new key out of ${id}-secondary`,
    `discard the candidate of ${id}`,
    'deliver the old version to shop again',
    `delete the new key ${key} at the provider`,
    `delete ${id}-secondary`,
  ],
};

test.each(KINDS)(
  'a rotation of type %s whose dependent stays sick is undone in reverse order, the delivery after what it passes on',
  async (kind) => {
    const doomed = await startDoomed(kind, 'order');
    const id = bed.secrets.idOf(doomed.secret);
    const { current: candidate, previous: before } = await bed.secrets.labels(doomed.secret);
    const { keyId } = kind === 'api-key' ? ((await keyDocument(bed, doomed.secret)) ?? {}) : {};
    await doomed.fail();
    await inPhase(doomed.handle, 'rolling-back');
    doomed.recover();
    const { type, message, details } = await failureOf(doomed.handle.result());
    expect(type).toBe('RotationRolledBack');
    expect(message).toMatch(
      new RegExp(
        `^${id} was not rotated, and what was done is undone\\. deliver failed: shop is not healthy: http://127\\.0\\.0\\.1:\\d+ answered 503, expected 200, for up to 1 s\\.$`,
      ),
    );
    expect((details as RolledBackDetails).undone).toEqual(UNDONE[kind](id, before ?? '', keyId ?? ''));
    const after = await doomed.situation();
    expect(after.labels.current).toBe(before);
    expect(after.labels.pending).toBeUndefined();
    expect(Object.keys(after.versions)).not.toContain(candidate);
    expect(after.keys).toHaveLength(doomed.service ? 1 : 0);
    expect(after.secondary).toBeUndefined();
    expect(await doomed.opens()).toBe(true);
    expect(await statusOf(doomed.handle)).toMatchObject({ phase: 'finished', outcome: 'rolled-back' });
  },
);

test('a compensation is registered before its step runs: one whose answer never came is undone', async () => {
  const subject = await createSubject(bed, 'single-user', 'unanswered', { stepTimeout: '2 seconds' });
  await bed.rotate(subject.secret);
  const before = await subject.situation();
  const point = {
    secretId: bed.secrets.idOf(subject.secret),
    step: 'setPassword',
    activity: 'setPassword',
    when: 'after',
  } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(subject.secret);
  await bed.pauses.reached(point);
  expect(await bed.databases.opens(subject.secret)).toBe(false);
  expect(await failureOf(handle.result())).toMatchObject({
    type: 'RotationRolledBack',
    details: { step: 'setPassword' },
  });
  expect(await subject.situation()).toEqual(before);
  expect(await subject.opens()).toBe(true);
  await bed.pauses.goOn(point);
});

test('a rollback survives its own cancellation, and an abort says that it is being undone already', async () => {
  const doomed = await startDoomed('single-user', 'cancelled');
  const { previous: before } = await bed.secrets.labels(doomed.secret);
  const point = { secretId: bed.secrets.idOf(doomed.secret), step: 'setPassword', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  await doomed.fail();
  await bed.pauses.reached(point);
  doomed.recover();
  await doomed.handle.cancel();
  await arrived(doomed.handle, 'cancel');
  expect(await doomed.handle.executeUpdate('abort', { args: [{ reason: 'stop it' }] })).toEqual({
    accepted: 'it is being undone already',
  });
  await bed.pauses.goOn(point);
  expect(await failureOf(doomed.handle.result())).toMatchObject({
    type: 'RotationRolledBack',
    details: { step: 'deliver', cause: { type: 'DependentUnhealthy' }, undone: { length: 4 } },
  });
  expect((await bed.secrets.labels(doomed.secret)).current).toBe(before);
  expect(await doomed.opens()).toBe(true);
});

test('a compensation is tried again until its target is back, and Temporal shows meanwhile why it waits', async () => {
  const proxy = await startFaultProxy(bed.databases.port);
  started.push(proxy);
  const doomed = await startDoomed('single-user', 'down', {}, { host: '127.0.0.1', port: proxy.port });
  const { previous: before } = await bed.secrets.labels(doomed.secret);
  await proxy.refuse();
  await doomed.fail();
  const waiting = await until('the third try', async () => {
    const { raw } = await doomed.handle.describe();
    return raw.pendingActivities?.find(({ attempt }) => (attempt ?? 0) >= 3);
  });
  expect(waiting.activityType?.name).toBe('setPasswordBack');
  expect(waiting.lastFailure?.message).toContain(`PostgreSQL at 127.0.0.1:${proxy.port}`);
  expect(await statusOf(doomed.handle)).toMatchObject({ phase: 'rolling-back', step: 'deliver' });
  doomed.recover();
  await proxy.accept();
  expect(await failureOf(doomed.handle.result())).toMatchObject({ type: 'RotationRolledBack' });
  expect((await bed.secrets.labels(doomed.secret)).current).toBe(before);
  expect(await doomed.opens()).toBe(true);
});

describe('a compensation that cannot be done', () => {
  test('is reported with what is left to do by hand and why, and the next rotation finds what is left', async () => {
    const doomed = await startDoomed('single-user', 'impossible', { rollbackTimeout: '3 seconds' });
    const id = bed.secrets.idOf(doomed.secret);
    const { current: candidate, previous: before } = await bed.secrets.labels(doomed.secret);
    const login = doomed.logins[0] ?? '';
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(login)} NOLOGIN`);
    await doomed.fail();
    await inPhase(doomed.handle, 'rolling-back');
    doomed.recover();
    const { type, message, details } = await failureOf(doomed.handle.result());
    const todo = `set the login's password back to the one that ${id} had`;
    const why = `no version of ${id} that this rotation knows opens its target as login "${login}" on ${bed.databases.host}:${bed.databases.port}, so its password could not be set. Set it by hand to that of the version labelled AWSCURRENT.`;
    expect(type).toBe('RollbackIncomplete');
    expect(message).toMatch(
      new RegExp(`^${id} could not be rolled back completely after deliver \\(shop is not healthy: `),
    );
    expect(message.endsWith(` Left to do by hand: ${todo} (${why})`)).toBe(true);
    expect(details).toMatchObject({
      step: 'deliver',
      undone: [`move AWSCURRENT of ${id} back to ${before}`, 'deliver the old version to shop again'],
      leftToDo: [{ step: 'setPassword', todo, cause: { type: 'NoWayIn', message: why } }],
    } satisfies Partial<RollbackIncompleteDetails>);
    expect(await statusOf(doomed.handle)).toMatchObject({ outcome: 'rollback-incomplete', phase: 'finished' });
    // With its label, the candidate tells the next rotation which password the login has.
    expect(await bed.secrets.labels(doomed.secret)).toMatchObject({ current: before, pending: candidate });

    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(login)} LOGIN`);
    expect(await doomed.opens()).toBe(false);
    const { versions } = await bed.rotate(doomed.secret);
    expect(await bed.secrets.labels(doomed.secret)).toEqual({ current: versions.current, previous: before });
    expect(await doomed.opens()).toBe(true);
  });

  test('is reported for an administrator who is locked out, and nothing else is left undone', async () => {
    const doomed = await startDoomed('alternating-users', 'no-admin', { rollbackTimeout: '3 seconds' });
    const id = bed.secrets.idOf(doomed.secret);
    const { previous: before } = await bed.secrets.labels(doomed.secret);
    const admin = `${doomed.logins[0]}_admin`;
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(admin)} NOLOGIN`);
    await doomed.fail();
    await inPhase(doomed.handle, 'rolling-back');
    doomed.recover();
    expect(await failureOf(doomed.handle.result())).toMatchObject({
      type: 'RollbackIncomplete',
      details: {
        undone: [`move AWSCURRENT of ${id} back to ${before}`, 'deliver the old version to shop again'],
        leftToDo: [
          {
            step: 'prepareLogin',
            todo: 'give the login that is not in use its earlier password again',
            cause: {
              message: `the administrator in ${id}-admin (login "${admin}" on ${bed.databases.host}:${bed.databases.port}) may not log in. Correct that secret first.`,
            },
          },
        ],
      },
    });
    expect(await doomed.opens()).toBe(true);
    await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(admin)} LOGIN`);
    expect(await bed.rotate(doomed.secret)).toMatchObject({ outcome: 'rotated' });
    expect(await doomed.opens()).toBe(true);
  });

  test('is reported for a key that cannot be deleted, which nobody is offered and the next rotation deletes', async () => {
    const doomed = await startDoomed('api-key', 'undeletable', { rollbackTimeout: '3 seconds' });
    const id = bed.secrets.idOf(doomed.secret);
    const { previous: before } = await bed.secrets.labels(doomed.secret);
    const { keyId } = (await keyDocument(bed, doomed.secret)) ?? {};
    doomed.service?.answerWith('DELETE /keys/:id', { status: 403 }, 1_000);
    await doomed.fail();
    await inPhase(doomed.handle, 'rolling-back');
    doomed.recover();
    expect(await failureOf(doomed.handle.result())).toMatchObject({
      type: 'RollbackIncomplete',
      message: expect.stringContaining(`Left to do by hand: delete the new key ${keyId} at the provider (`) as string,
      details: {
        leftToDo: [
          {
            step: 'createKey',
            todo: `delete the new key ${keyId} at the provider`,
            cause: { type: 'PermissionDenied' },
          },
        ],
      },
    });
    expect((await bed.secrets.labels(doomed.secret)).current).toBe(before);
    expect(await doomed.opens()).toBe(true);
    // It still says which key is left, and holds none.
    const secondary = await keyDocument(bed, `${doomed.secret}-secondary`);
    expect(secondary).toMatchObject({ keyturn: { keyId } });
    expect(secondary?.key).toBeUndefined();

    doomed.service?.endFaults();
    const { steps } = await bed.rotate(doomed.secret);
    expect(steps).toContainEqual({
      name: 'settleLeftovers',
      summary: `delete the key that a terminated rotation of ${id} left`,
    });
    const { keys, secondary: gone } = await doomed.situation();
    expect(keys).toEqual([{ id: expect.not.stringMatching(keyId ?? '') as string, active: true, accepted: true }]);
    expect(gone).toBeUndefined();
  });

  test('is reported for a label that somebody else moved meanwhile, which is left where they put it', async () => {
    const doomed = await startDoomed('app-secret', 'moved');
    const id = bed.secrets.idOf(doomed.secret);
    const byHand = await bed.secrets.putPending(doomed.secret, 'stored-by-hand-meanwhile');
    await bed.secretsManager.send(
      new UpdateSecretVersionStageCommand({
        SecretId: id,
        VersionStage: 'AWSCURRENT',
        RemoveFromVersionId: doomed.handle.firstExecutionRunId,
        MoveToVersionId: byHand,
      }),
    );
    await doomed.fail();
    await inPhase(doomed.handle, 'rolling-back');
    doomed.recover();
    const { type, details } = await failureOf(doomed.handle.result());
    expect(type).toBe('RollbackIncomplete');
    expect((details as RollbackIncompleteDetails).leftToDo).toEqual([
      {
        step: 'promote',
        todo: expect.stringMatching(`move AWSCURRENT of ${id} back to `),
        cause: {
          type: 'LabelsMoved',
          message: `AWSCURRENT of ${id} is on version ${byHand}, where this rotation did not put it; it was left there. Somebody else changes this secret: agree with them, then move the label by hand or rotate again.`,
        },
      },
    ]);
    expect(await bed.secrets.value(doomed.secret)).toBe('stored-by-hand-meanwhile');
  });

  test('makes an abort end as RollbackIncomplete, with the reason of the abort', async () => {
    const doomed = await startDoomed('single-user', 'abort', { rollbackTimeout: '2 seconds' });
    const login = escapeIdentifier(doomed.logins[0] ?? '');
    await bed.databases.asSuperuser(`ALTER ROLE ${login} NOLOGIN`);
    await doomed.handle.executeUpdate('abort', { args: [{ reason: 'wrong secret', requestedBy: 'anna' }] });
    doomed.recover();
    await doomed.fail();
    expect(await failureOf(doomed.handle.result())).toMatchObject({
      type: 'RollbackIncomplete',
      details: { cause: { type: 'Aborted', message: 'wrong secret' }, leftToDo: [{ step: 'setPassword' }] },
    });
    expect(await statusOf(doomed.handle)).toMatchObject({ outcome: 'rollback-incomplete' });
    await bed.databases.asSuperuser(`ALTER ROLE ${login} LOGIN`);
  });
});

test('the audit log tells each compensation after the step that failed, in the order in which they ran', async () => {
  const doomed = await startDoomed('single-user', 'audited');
  await doomed.fail();
  await inPhase(doomed.handle, 'rolling-back');
  doomed.recover();
  await failureOf(doomed.handle.result());
  const records = await auditOf(bed.secrets.idOf(doomed.secret));
  const ofThisRun = records.filter(({ workflow }) => workflow?.runId === doomed.handle.firstExecutionRunId);
  const failed = ofThisRun.findLastIndex(({ what, outcome }) => what === 'deliver' && outcome === 'failed');
  const afterwards = ofThisRun.slice(failed + 1).filter(({ outcome }) => outcome === 'succeeded');
  expect(afterwards.map(({ step, what }) => [step, what])).toEqual([
    ['promote', 'moveLabels'],
    ['setPassword', 'setPasswordBack'],
    ['setPassword', 'proveLogin'],
    ['deliver', 'deliver'],
    ['createCandidate', 'moveLabels'],
    ['recordOutcome', 'recordOutcome'],
  ]);
});
