import type { FleetPolicy, FleetSecret } from '../src/rotation/fleet';
import { noteEnd, noteStart, oldestFirst, startable, tooManyFailures } from '../src/rotation/fleet-schedule';
import type { Attempts } from '../src/rotation/fleet-schedule';

const policy: FleetPolicy = { concurrency: 4, perTarget: 2, maxRestartsAtOnce: 3, stopAfterFailures: 3 };

const secret = (name: string, about: Partial<FleetSecret> = {}): FleetSecret => ({
  secret: name,
  type: 'app-secret',
  alone: [`secret ${name}`],
  uses: [],
  restarts: 0,
  ...about,
});
const names = (secrets: FleetSecret[]) => secrets.map((one) => one.secret);
const chosen = (waiting: FleetSecret[], running: FleetSecret[] = []) => names(startable(waiting, running, policy));

test('no more run at once than the environment allows, in their order', () => {
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => secret(name));
  expect(chosen(all)).toEqual(['a', 'b', 'c', 'd']);
  expect(chosen(all, [secret('x'), secret('y')])).toEqual(['a', 'b']);
});

test('a target system is given no more than it may have, and the others go past it', () => {
  const on = (name: string, target: string) => secret(name, { target });
  expect(chosen([on('a', 'db'), on('b', 'db'), on('c', 'db'), on('d', 'other')])).toEqual(['a', 'b', 'd']);
});

test('two that change the same thing are never under way at once, nor is its user beside one that changes it', () => {
  const shop = { alone: ['workload shop'] };
  expect(chosen([secret('a', shop), secret('b', shop), secret('c')])).toEqual(['a', 'c']);
  const user = (name: string) => secret(name, { uses: ['secret admin'] });
  expect(chosen([user('a'), user('b'), secret('admin')])).toEqual(['a', 'b']);
  expect(chosen([user('a'), user('b')], [secret('admin')])).toEqual([]);
});

test('what somebody else is changing is kept apart from its users, and takes no place', () => {
  const admin = secret('admin', { restarts: 3, target: 'db' });
  const user = secret('user', { uses: ['secret admin'] });
  const beside = ['a', 'b', 'c', 'd'].map((name, n) => secret(name, n < 2 ? { target: 'db', restarts: 1 } : {}));
  expect(names(startable([user, ...beside], [], policy, [admin]))).toEqual(['a', 'b', 'c', 'd']);
  expect(names(startable([user], [], policy))).toEqual(['user']);
});

test('restarts are bounded together; one that needs more runs beside none that restarts', () => {
  const restarting = (name: string, restarts: number) => secret(name, { restarts });
  expect(chosen([restarting('a', 2), restarting('b', 2), restarting('c', 1)])).toEqual(['a', 'c']);
  expect(chosen([restarting('big', 9), restarting('b', 1), secret('c')])).toEqual(['big', 'c']);
  expect(chosen([restarting('big', 9)], [restarting('b', 1)])).toEqual([]);
});

test('what does not exist comes first, then the oldest, then by name', () => {
  const all = [
    secret('young', { changedAt: 9 }),
    secret('b', { changedAt: 1 }),
    secret('a', { changedAt: 1 }),
    secret('new'),
  ];
  expect(names(oldestFirst(all))).toEqual(['new', 'a', 'b', 'young']);
  expect(names(oldestFirst(all.toReversed()))).toEqual(['new', 'a', 'b', 'young']);
});

describe('a row of failures', () => {
  /** Starts all in their order, and ends them in the order given: `+` well, `-` badly, `?` aborted. */
  function after(started: FleetSecret[], ends: string[]): Attempts {
    const attempts: Attempts = {};
    for (const one of started) noteStart(attempts, one);
    for (const end of ends) {
      const of = started.find((one) => one.secret === end.slice(1)) as FleetSecret;
      noteEnd(attempts, of, end.startsWith('?') ? undefined : end.startsWith('-'));
    }
    return attempts;
  }
  const five = ['a', 'b', 'c', 'd', 'e'].map((name) => secret(name));

  test('is counted in the order of starts, so that slow failures among successes are none', () => {
    expect(tooManyFailures(after(five, ['+b', '+d', '-a', '-c', '-e']), policy)).toBeUndefined();
    expect(tooManyFailures(after(five, ['-c', '-b', '-d']), policy)).toEqual(['b', 'c', 'd']);
    expect(tooManyFailures(after(five, ['-a', '-b', '-d']), policy)).toBeUndefined();
  });

  test('goes on over one that was aborted, which says nothing', () => {
    expect(tooManyFailures(after(five, ['-a', '?b', '-c', '-d']), policy)).toEqual(['a', 'c', 'd']);
  });

  test('is counted for each target system by itself', () => {
    const mixed = [1, 2, 3, 4].flatMap((n) => [
      secret(`bad${n}`, { target: 'bad' }),
      secret(`good${n}`, { target: 'good' }),
    ]);
    const attempts = after(mixed, ['-bad1', '+good1', '-bad2', '+good2', '-bad3', '+good3']);
    expect(tooManyFailures(attempts, policy)).toBeUndefined();
    expect(tooManyFailures(attempts, policy, 'bad')).toEqual(['bad1', 'bad2', 'bad3']);
    expect(tooManyFailures(attempts, policy, 'good')).toBeUndefined();
  });
});
