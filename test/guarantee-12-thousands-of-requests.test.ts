import type { RotationResult } from '../src/rotation/types';
import { keyDocument } from './testbed/api-keys';
import { createKeySubjects, expectRotated } from './testbed/key-subjects';
import type { KeySubjects } from './testbed/key-subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { auditOf, inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let subjects: KeySubjects;

beforeAll(async () => {
  bed = await openTestbed();
  subjects = createKeySubjects(bed);
  await bed.startWorker();
});
afterAll(() => bed.close(), 300_000);
afterAll(() => subjects.stop());

const SIGNALS = 5_000;
const SENT_TOGETHER = 100;
/** Temporal's own limits for a history: `limit.historyCount.error` and `limit.historySize.error`. */
const MOST_EVENTS = 51_200;
const MOST_BYTES = 50 * 1024 * 1024;

/** What the nth signal is; every fourth is refused. */
function signal(n: number): [string, object] {
  const requestedBy = `operator ${n}`;
  switch (n % 4) {
    case 0:
      return ['extendGracePeriod', { by: '1 second', requestId: `request ${n}`, requestedBy }];
    case 1:
      return ['setPhaseIn', { percent: n % 101, requestedBy }];
    case 2:
      return ['setPhaseIn', { percent: 101, requestedBy }];
    default:
      return ['extendGracePeriod', { by: '2 seconds', reason: 'a release is due', requestedBy }];
  }
}

test('of 5,000 requests in one grace period none is lost, and the rotation stays within the limits and ends as always', async () => {
  const subject = await subjects.create('flood', { declaration: { gracePeriod: '1 hour' } });
  const handle = await bed.start(subject.secret);
  const before = Date.parse((await inPhase(handle, 'grace-period')).graceEndsAt ?? '');

  const started = Date.now();
  for (let n = 0; n < SIGNALS; n += SENT_TOGETHER) {
    const batch = Array.from({ length: SENT_TOGETHER }, (_, index) => signal(n + index));
    await Promise.all(batch.map(([name, request]) => handle.signal(name, request)));
  }
  const sentAfter = Date.now() - started;
  const status = await until('all have been taken', async () => {
    const now = await statusOf(handle).catch(() => undefined);
    return now && now.requests.length + (now.earlierRequests ?? 0) === SIGNALS && now;
  });
  const extensions = (SIGNALS / 4) * (1 + 2) * 1_000;
  expect(Date.parse(status.graceEndsAt ?? '')).toBe(before + extensions);
  expect(status.requests).toHaveLength(100);
  expect(status.requests.filter(({ refused }) => refused !== undefined)).toHaveLength(25);

  const asked = Date.now();
  await handle.executeUpdate('setPhaseIn', { args: [{ percent: 42 }] });
  const answeredAfter = Date.now() - asked;
  expect(answeredAfter).toBeLessThan(5_000);
  await until(
    'the last share is written',
    async () => (await keyDocument(bed, subject.secondary))?.phaseInPercent === 42,
  );
  expect((await bed.secrets.versionIds(subject.secondary)).length).toBeLessThan(50);

  await handle.executeUpdate('endGracePeriod', { args: [{}] });
  await expectRotated(bed, subject, (await handle.result()) as RotationResult);

  const description = await handle.describe();
  const events = description.historyLength;
  const bytes = description.historySize ?? 0;
  console.info(
    `${SIGNALS} signals sent in ${sentAfter} ms: ${events} events, ${bytes} bytes, an update took ${answeredAfter} ms`,
  );
  expect(events).toBeLessThan(MOST_EVENTS);
  expect(bytes).toBeLessThan(MOST_BYTES);

  const acts = (await auditOf(subject.secretId)).filter(({ activity }) => activity.type === 'recordOperatorActs');
  expect(acts.filter(({ who }) => who.startsWith('operator '))).toHaveLength(SIGNALS);
  expect(new Set(acts.map(({ who }) => who)).size).toBe(SIGNALS + 1);
  expect(acts.filter(({ outcome }) => outcome === 'refused')).toHaveLength(SIGNALS / 4);
}, 400_000);
