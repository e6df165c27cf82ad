import { Client, escapeIdentifier } from 'pg';
import type { RotationInput } from '../src/rotation/types';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import type { Point } from './testbed/pauses';
import { keepLoggingIn } from './testbed/steady-logins';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let service: TestDependent;
beforeAll(async () => {
  bed = await openTestbed();
  service = await startDependent('the orders service', '1 second');
  await bed.startWorker();
});
afterEach(() => service.answer(200));
afterAll(async () => {
  await service.stop();
  await bed.close();
});

/** Its old login is to be locked one second after the new one is in use. */
const lockedSoon = (secret: string, declaration: Record<string, unknown> = {}) =>
  bed.databases.alternatingUsers(secret, {
    declaration: { gracePeriod: '1 second', dependents: [service.declaration], ...declaration },
  });

/** Starts a rotation that stands still before a step. */
async function startUntil(secret: string, step: string) {
  const point: Point = { secretId: bed.secrets.idOf(secret), step, when: 'before' };
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret);
  await bed.pauses.reached(point);
  return { handle, goOn: () => bed.pauses.goOn(point) };
}

test.each<[string, Partial<RotationInput>]>([
  ['a rotation', {}],
  ['an emergency', { emergency: true }],
])(
  'in %s, a dependent that is not healthy with the new login keeps the old one from being locked',
  async (what, input) => {
    const { secret } = await lockedSoon(what.replace(/^an? /, 'unhealthy-in-'));
    const before = await bed.secrets.labels(secret);
    service.answer(async () => ((await bed.secrets.labels(secret)).current === before.current ? 200 : 503));
    const oldLogins = await keepLoggingIn(bed, secret);
    expect(await failureOf(bed.rotate(secret, input))).toMatchObject({
      type: 'RotationRolledBack',
      details: { cause: { type: 'DependentUnhealthy' } },
    });
    expect(await oldLogins.stop()).toEqual({ opened: expect.any(Number), refused: 0 });
    expect(await bed.secrets.labels(secret)).toEqual(before);
  },
);

test('a candidate that does not open the database costs the old login nothing', async () => {
  const { secret, username } = await lockedSoon('closed');
  const oldLogins = await keepLoggingIn(bed, secret);
  const { handle, goOn } = await startUntil(secret, 'loginWithCandidate');
  await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(`${username}_clone`)} PASSWORD 'of somebody else'`);
  await goOn();
  expect(await failureOf(handle.result())).toMatchObject({
    type: 'RotationRolledBack',
    details: { step: 'loginWithCandidate', cause: { type: 'CandidateRefused' } },
  });
  expect(await oldLogins.stop()).toEqual({ opened: expect.any(Number), refused: 0 });
});

test('when the old login is locked, the new one is in use, opens the database and has been seen by the dependents', async () => {
  const { secret } = await lockedSoon('proved');
  const asked = service.asked;
  const { current: versionId = '' } = await bed.secrets.labels(secret);
  const { handle, goOn } = await startUntil(secret, 'lockOldLogin');
  expect(await bed.databases.opens(secret, { versionId })).toBe(true);
  expect((await bed.secrets.labels(secret)).current).toBe(handle.firstExecutionRunId);
  expect(await bed.databases.opens(secret)).toBe(true);
  expect(service.asked).toBeGreaterThan(asked);

  await goOn();
  expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { previous: versionId } });
  expect(await bed.databases.opens(secret)).toBe(true);
  expect(await bed.databases.opens(secret, { versionId })).toBe(false);
});

test.each([
  ['verifyAsApplication', 'RotationRolledBack'],
  ['verifyBeforeRetiring', 'RotationRolledBack'],
  ['lockOldLogin', 'RetirementIncomplete'],
])('an old login that somebody made AWSCURRENT again before %s is not locked: %s', async (step, failure) => {
  const { secret } = await lockedSoon(`put-back-${step.toLowerCase()}`);
  const { current } = await bed.secrets.labels(secret);
  const { handle, goOn } = await startUntil(secret, step);
  await bed.secrets.makeCurrent(secret, current);
  await goOn();
  expect(await failureOf(handle.result())).toMatchObject({ type: failure });
  expect((await bed.secrets.labels(secret)).current).toBe(current);
  expect(await bed.databases.opens(secret)).toBe(true);
});

test('an old login with an open session is not locked, and the result says so', async () => {
  const { secret, username } = await lockedSoon('in-session', { stepTimeout: '3 seconds' });
  const { password } = JSON.parse(await bed.secrets.value(secret)) as { password: string };
  const { host, port } = bed.databases;
  const session = new Client({ host, port, database: username, user: username, password });
  await session.connect();
  try {
    const { versions, warnings } = await bed.rotate(secret);
    expect(warnings).toEqual([expect.stringMatching(/^The old login was not locked: .* still has 1 open session\./)]);
    expect(await bed.databases.opens(secret)).toBe(true);
    expect(await bed.databases.opens(secret, { versionId: versions.previous ?? '' })).toBe(true);
    await expect(session.query('SELECT 1')).resolves.toMatchObject({ rowCount: 1 });
  } finally {
    await session.end();
  }
});
