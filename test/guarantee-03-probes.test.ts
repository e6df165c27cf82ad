import type { RotationStatus } from '../src/rotation/types';
import { startUnreliablePostgres, refusedLogins } from './testbed/postgres-wire';
import type { UnreliablePostgres } from './testbed/postgres-wire';
import { createSubject } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
const servers: UnreliablePostgres[] = [];

beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '8 seconds' });
  await bed.startWorker();
});
afterAll(() => bed.close());
afterAll(async () => {
  for (const server of servers) await server.stop();
});

type DatabaseKind = Extract<Kind, 'single-user' | 'alternating-users'>;

async function databaseOf(kind: DatabaseKind, secret: string) {
  const server = await startUnreliablePostgres(bed.databases.port);
  servers.push(server);
  return { server, ...(await createSubject(bed, kind, secret, {}, { port: server.port })) };
}

/** Statements that change a role, of all that reached the server. */
const changes = ({ tap }: UnreliablePostgres) =>
  tap.connections.flatMap(({ sent }) => sent.toString('latin1').match(/(ALTER|CREATE) ROLE/g) ?? []);

/** The step that first changes the target. */
const CHANGES: Record<DatabaseKind, string> = { 'single-user': 'setPassword', 'alternating-users': 'prepareLogin' };

const OUT_OF_REACH = {
  'does not answer': {
    leave: ({ tap }: UnreliablePostgres) => void (tap.mode = 'silent'),
    comeBack: ({ tap }: UnreliablePostgres) => void (tap.mode = 'pass'),
  },
  'refuses connections': {
    leave: (server: UnreliablePostgres) => server.refuse(),
    comeBack: (server: UnreliablePostgres) => server.accept(),
  },
};

const CASES = [
  ['single-user', 'does not answer'],
  ['single-user', 'refuses connections'],
  ['alternating-users', 'does not answer'],
  ['alternating-users', 'refuses connections'],
] as const;

test('a target that does not answer, or cannot be reached, proves nothing: its password is not changed', async () => {
  const ends = CASES.map(async ([kind, how], index) => {
    const { server, secret, opens } = await databaseOf(kind, `unreachable-${index}`);
    const labels = await bed.secrets.labels(secret);
    const point = { secretId: bed.secrets.idOf(secret), step: CHANGES[kind], when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);
    await OUT_OF_REACH[how].leave(server);
    await bed.pauses.goOn(point);
    await until('the rollback', async () => (await handle.query<RotationStatus>('status')).phase === 'rolling-back');
    expect(changes(server)).toEqual([]);
    await OUT_OF_REACH[how].comeBack(server);

    const { type, details } = await failureOf(handle.result());
    expect(type).toBe('RotationRolledBack');
    expect(details).toMatchObject({ step: CHANGES[kind], cause: { type: 'TargetUnavailable' } });
    expect(refusedLogins(server.tap.connections)).toBeLessThanOrEqual(1);
    expect(await bed.secrets.labels(secret)).toEqual(labels);
    expect(await opens()).toBe(true);
  });
  for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason;
});

/** The strictest lockout policies that are common count to three. */
const BELOW_LOCKOUT = 2;

test('a single-user rotation makes its target refuse two logins, one before the change and one after it', async () => {
  const { server, secret } = await databaseOf('single-user', 'refused/single');
  await bed.rotate(secret);
  expect(refusedLogins(server.tap.connections)).toBe(BELOW_LOCKOUT);
});

test('an alternating-users rotation makes its target refuse no login, on first use as later', async () => {
  const { server, secret } = await databaseOf('alternating-users', 'refused/alternating');
  await bed.rotate(secret);
  await bed.rotate(secret);
  expect(refusedLogins(server.tap.connections)).toBe(0);
});

test.each(['single-user', 'alternating-users'] as const)(
  '%s: a rotation that is aborted makes its target refuse two logins at most',
  async (kind) => {
    const { server, secret, opens } = await databaseOf(kind, `refused/aborted-${kind}`);
    const point = { secretId: bed.secrets.idOf(secret), step: 'promote', when: 'after' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start(secret);
    await bed.pauses.reached(point);
    await handle.signal('abort');
    await bed.pauses.goOn(point);
    await handle.result();
    expect(await opens()).toBe(true);
    expect(refusedLogins(server.tap.connections)).toBeLessThanOrEqual(BELOW_LOCKOUT);
  },
);

test('a wrong stored password costs two refused logins, one for each version that could have been the right one', async () => {
  const { server, secret, logins } = await databaseOf('single-user', 'refused/wrong');
  await bed.rotate(secret);
  await bed.databases.asSuperuser(`ALTER ROLE "${logins[0]}" PASSWORD 'changed-by-hand'`);
  const refusedBefore = refusedLogins(server.tap.connections);
  const { type, message } = await failureOf(bed.rotate(secret));
  expect(type).toBe('RotationRefused');
  expect(message).toContain('AWSPREVIOUS is refused');
  expect(refusedLogins(server.tap.connections) - refusedBefore).toBe(2);
});

test('answers that get lost add no refused login to those that were answered', async () => {
  const { server, secret, opens } = await databaseOf('single-user', 'refused/lost');
  server.loseStatement(0, 'ALTER ROLE');
  await bed.rotate(secret);
  expect(await opens()).toBe(true);
  expect(refusedLogins(server.tap.connections)).toBe(BELOW_LOCKOUT);
});
