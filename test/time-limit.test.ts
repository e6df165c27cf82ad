import { execFile } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { withTimeLimit } from '../src/activities/time-limit';
import { projectFile } from './lab/project';

const run = promisify(execFile);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A call that ends when its signal aborts, with the reason. */
async function untilAborted(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) await once(signal, 'abort');
  return signal.reason;
}

const listenersOn = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

test('a time limit holds although garbage is collected meanwhile', async () => {
  const cancelled = new AbortController();
  const ended = withTimeLimit(cancelled.signal, 200, untilAborted);
  for (let n = 0; n < 5; n++) {
    await delay(10);
    collectGarbage();
  }
  expect(await ended).toMatchObject({ name: 'TimeoutError' });
  expect(cancelled.signal.aborted).toBe(false);
});

test('what is cancelled ends at once, with the reason that it was given', async () => {
  const cancelled = new AbortController();
  const ended = withTimeLimit(cancelled.signal, 60_000, untilAborted);
  cancelled.abort('enough');
  expect(await ended).toBe('enough');
  expect(await withTimeLimit(cancelled.signal, 60_000, untilAborted)).toBe('enough');
});

test('a call that has ended, however it did, leaves no listener and no timer behind', async () => {
  const { signal } = new AbortController();
  const given: AbortSignal[] = [];
  const call = withTimeLimit(signal, 20, async (limited) => void given.push(limited));
  expect(listenersOn(signal)).toBe(1);
  await call;
  const failing = withTimeLimit(signal, 20, (limited) => {
    given.push(limited);
    return Promise.reject(new Error('refused'));
  });
  await expect(failing).rejects.toThrow('refused');
  expect(listenersOn(signal)).toBe(0);
  await delay(60);
  expect(given.map(({ aborted }) => aborted)).toEqual([false, false]);
});

test('many calls of an activity, at a time and one after the other, print no warning of a leak', async () => {
  const program = `
    const { withTimeLimit } = require(${JSON.stringify(projectFile('dist', 'src', 'activities', 'time-limit.js'))});
    const { signal } = new AbortController();
    const call = () => withTimeLimit(signal, 60_000, () => new Promise(setImmediate));
    (async () => {
      for (let n = 0; n < 30; n++) await call();
      await Promise.all(Array.from({ length: 30 }, call));
      console.log('ended');
    })();`;
  expect(await run(process.execPath, ['-e', program])).toEqual({ stdout: 'ended\n', stderr: '' });
});
