import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Cluster } from '../src/activities/delivery/kubernetes/cluster';
import type { KubernetesObject } from '../src/activities/delivery/kubernetes/objects';
import { SECRETS } from '../src/activities/delivery/kubernetes/objects';
import { Refusal } from '../src/activities/delivery/kubernetes/refusals';
import { watchUntil } from '../src/activities/delivery/kubernetes/watch';

const SECRET = { resource: SECRETS, namespace: 'shop', name: 'orders-db' };
const state = (name: string): KubernetesObject => ({ metadata: { name } });
const event = (type: string, name: string) => `${JSON.stringify({ type, object: state(name) })}\n`;

type Watched = (signal: AbortSignal) => Readable | Error;

/** A cluster whose lists and watches are written down; what a real API server does only after hours or by chance. */
function scriptedCluster(lists: string[], watches: Watched[]) {
  const seen = { lists: 0, watchedFrom: [] as string[] };
  const cluster = {
    name: 'the scripted cluster',
    async listOne() {
      const name = lists[Math.min(seen.lists++, lists.length - 1)];
      return { object: name === undefined ? undefined : state(name), resourceVersion: `rv-${seen.lists}` };
    },
    async openWatch(_object: unknown, resourceVersion: string, _seconds: number, signal: AbortSignal) {
      seen.watchedFrom.push(resourceVersion);
      const watched = watches[Math.min(seen.watchedFrom.length - 1, watches.length - 1)]?.(signal);
      if (!(watched instanceof Readable)) throw watched ?? new Error('nothing to watch');
      return watched as IncomingMessage;
    },
  } as Partial<Cluster> as Cluster;
  return { cluster, seen };
}

const streaming =
  (...chunks: string[]): Watched =>
  () =>
    Readable.from(chunks);

/** One that stays open without events until it is ended. */
const silent: Watched = (signal) => {
  const stream = new Readable({ read: () => undefined });
  signal.addEventListener('abort', () => stream.destroy(new Error('aborted')));
  return stream;
};

const soon = (ms = 5_000) => Date.now() + ms;
const is = (wanted: string) => (found: KubernetesObject | undefined) => found?.metadata.name === wanted;

test('events are read however the network cuts them into pieces', async () => {
  const line = event('MODIFIED', 'wanted');
  const { cluster, seen } = scriptedCluster(
    ['old'],
    [streaming(event('ADDED', 'old') + line.slice(0, 9), line.slice(9))],
  );
  expect(await watchUntil(cluster, SECRET, soon(), is('wanted'))).toBe(true);
  expect(seen).toEqual({ lists: 1, watchedFrom: ['rv-1'] });
});

test.each<[string, Watched]>([
  ['whose resource version is gone, said in an event', streaming('{"type":"ERROR","object":{"code":410}}\n')],
  ['whose resource version is gone, said by the status', () => new Refusal(410, 'Expired', 'too old resource version')],
  ['that is closed', streaming()],
  ['that breaks off in the middle of an event', streaming(event('MODIFIED', 'old'), '{"type":"MODI')],
  ['that holds something else', streaming('<html>\n')],
])('after a watch %s the object is read anew, and watched from there', async (_how, watched) => {
  const { cluster, seen } = scriptedCluster(['old', 'newer'], [watched, streaming(event('MODIFIED', 'wanted'))]);
  expect(await watchUntil(cluster, SECRET, soon(), is('wanted'))).toBe(true);
  expect(seen).toEqual({ lists: 2, watchedFrom: ['rv-1', 'rv-2'] });
});

test('a watch that always ends at once is no tight loop', async () => {
  const { cluster, seen } = scriptedCluster(['old'], [streaming()]);
  expect(await watchUntil(cluster, SECRET, soon(1_500), is('wanted'))).toBe(false);
  expect(seen.lists).toBeLessThan(7);
});

test('a state that came without an event is seen when the time is over', async () => {
  const { cluster } = scriptedCluster(['old', 'wanted'], [silent]);
  expect(await watchUntil(cluster, SECRET, soon(300), is('wanted'))).toBe(true);
});

test('an object that is deleted is shown as none', async () => {
  const { cluster } = scriptedCluster(['old'], [streaming(event('DELETED', 'old'))]);
  expect(await watchUntil(cluster, SECRET, soon(), (found) => found === undefined)).toBe(true);
});

test('what the caller throws ends the waiting', async () => {
  const { cluster } = scriptedCluster(['old'], [streaming(event('MODIFIED', 'broken'))]);
  const waiting = watchUntil(cluster, SECRET, soon(), (found) => {
    if (found?.metadata.name === 'broken') throw new Error('it cannot come any more');
    return false;
  });
  await expect(waiting).rejects.toThrow('it cannot come any more');
});

test('cancellation ends the waiting at once', async () => {
  const { cluster } = scriptedCluster(['old'], [silent]);
  const environment = new MockActivityEnvironment();
  const started = Date.now();
  const waiting = environment.run(() => watchUntil(cluster, SECRET, soon(60_000), is('wanted')));
  await delay(100);
  environment.cancel();
  await expect(waiting).rejects.toThrow();
  expect(Date.now() - started).toBeLessThan(2_000);
});
