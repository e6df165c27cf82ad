import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { withTimeLimit } from '../src/activities/time-limit';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('a time limit holds although garbage is collected meanwhile', async () => {
  const cancelled = new AbortController();
  const limited = withTimeLimit(cancelled.signal, 200);
  const ended = once(limited, 'abort');
  for (let n = 0; n < 5; n++) {
    await delay(10);
    collectGarbage();
  }
  await ended;
  expect(limited.reason).toMatchObject({ name: 'TimeoutError' });
  expect(cancelled.signal.aborted).toBe(false);
});

test('what is cancelled ends at once, with the reason that it was given', () => {
  const cancelled = new AbortController();
  const limited = withTimeLimit(cancelled.signal, 60_000);
  cancelled.abort('enough');
  expect(limited.reason).toBe('enough');
  expect(withTimeLimit(cancelled.signal, 60_000).reason).toBe('enough');
});
