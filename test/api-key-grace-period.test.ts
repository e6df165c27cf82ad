import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { KeyturnClient } from '../src/client/keyturn-client';
import type { RotationStatus } from '../src/rotation/types';
import { keyDocument } from './testbed/api-keys';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startKeyClient } from './testbed/key-clients';
import { createKeySubjects, expectAsBefore, expectRotated, keySituationOf } from './testbed/key-subjects';
import type { KeySubjects } from './testbed/key-subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';
import { inPhase, statusOf } from './testbed/watching';

let bed: Testbed;
let subjects: KeySubjects;
let cli: Cli;

beforeAll(async () => {
  bed = await openTestbed();
  subjects = createKeySubjects(bed);
  cli = createCli(bed);
  await bed.startWorker();
});
afterAll(() => cli.stop());
afterAll(() => bed.close());
afterAll(() => subjects.stop());

const update = (handle: WorkflowHandle, name: string, request: object = {}) =>
  handle.executeUpdate<object, [object]>(name, { args: [request] });

describe('two clients, one with the key of the primary and one with that of the secondary', () => {
  test('are always let in, over rotations that end and one that is aborted', async () => {
    const subject = await subjects.create('clients', { declaration: { gracePeriod: '3 seconds' } });
    const clients = (['primary', 'secondary'] as const).map((reads) => startKeyClient(bed, subject, reads));
    const seen: string[] = [];
    for (let rotations = 0; rotations < 4; rotations++) {
      const handle = await bed.start(subject.secret);
      const { keys = {} } = await inPhase(handle, 'grace-period');
      await until('each client uses its key', () =>
        Promise.resolve(clients[0]?.use.keys.has(keys.old ?? '') && clients[1]?.use.keys.has(keys.new ?? '')),
      );
      expect(subject.service.keys().map(({ id, active }) => ({ id, active }))).toEqual([
        { id: keys.old, active: true },
        { id: keys.new, active: true },
      ]);
      if (rotations === 2) await update(handle, 'abort');
      expect(await handle.result()).toMatchObject({ outcome: rotations === 2 ? 'aborted' : 'rotated' });
      const kept = rotations === 2 ? keys.old : keys.new;
      expect(subject.service.keys()).toMatchObject([{ id: kept, active: true }]);
      expect((await keyDocument(bed, subject.secret))?.keyId).toBe(kept);
      expect(await keyDocument(bed, subject.secondary)).toBeUndefined();
      seen.push(keys.new ?? '');
    }
    await until('there were 2,000 requests', () =>
      Promise.resolve(clients.reduce((sum, { use }) => sum + use.requests, 0) >= 2_000),
    );
    for (const client of clients) expect(await client.stop()).toMatchObject({ failed: 0 });
    expect(new Set(seen).size).toBe(4);
  });

  test('after an abort only the old key is let in, and the new one is gone from the service and the secondary', async () => {
    const subject = await subjects.create('aborted', { declaration: { gracePeriod: '1 hour' } });
    const handle = await bed.start(subject.secret);
    await inPhase(handle, 'grace-period');
    await handle.signal('abort', { reason: 'not yet' });
    expect(await handle.result()).toMatchObject({ outcome: 'aborted', reason: 'not yet' });
    await expectAsBefore(bed, subject);
  });
});

test('a second rotation in the grace period is refused with what runs and until when, however it is started', async () => {
  const subject = await subjects.create('second', { declaration: { gracePeriod: '1 hour' } });
  const { secret, secretId } = subject;
  const handle = await bed.start(secret);
  const { graceEndsAt = '' } = await inPhase(handle, 'grace-period');
  const before = await statusOf(handle);
  const input = { environment: bed.environment, secret };

  await expect(bed.start(secret)).rejects.toMatchObject({ name: 'WorkflowExecutionAlreadyStartedError' });
  await expect(new KeyturnClient(bed.client, bed.taskQueue).start(input, 'api-key')).rejects.toMatchObject({
    type: 'AlreadyRunning',
    message: expect.stringContaining(`Grace period until ${graceEndsAt}`) as string,
  });
  const frontDoor = await failureOf(
    bed.client.workflow.execute('rotate', {
      taskQueue: bed.taskQueue,
      workflowId: `front-door/${secretId}`,
      args: [input],
    }),
  );
  expect(frontDoor).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'AlreadyRunning' } } });
  expect(frontDoor.message).toMatch(/rotateApiKey runs since \S+Z by tester, now at gracePeriod until \S+Z/);
  expect(frontDoor.message).toContain(`until ${graceEndsAt}`);
  const typed = await cli.run(['rotate', secretId]);
  expect(typed.code).toBe(3);
  expect(typed.stderr).toContain(`Grace period until ${graceEndsAt}`);

  expect(await statusOf(handle)).toEqual(before);
  expect(subject.service.requests('POST /keys')).toBe(1);
  await update(handle, 'endGracePeriod');
  await expectRotated(bed, subject, await handle.result());
});

test('a longer grace period than the catalog allows is refused in the input, and nothing is started', async () => {
  const subject = await subjects.create('too-long', { declaration: { maxGracePeriod: '1 hour' } });
  for (const [gracePeriod, why] of [
    ['2 hours', 'longer than 1 h'],
    ['soon', 'is not a duration'],
    ['-1 hours', 'is not a duration'],
  ] as const) {
    const failure = await failureOf(bed.rotate(subject.secret, { gracePeriod }));
    expect(failure).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'BadInput' } } });
    expect(failure.message).toContain(why);
  }
  expect(subject.service.requests('GET /keys')).toBe(0);
  await expectAsBefore(bed, subject);
});

describe('the phase-in', () => {
  /** All versions of the secondary: the three before it is offered, the first offer, and one for each change. */
  const changes = async (secondary: string) => (await bed.secrets.versionIds(secondary)).length - 4;
  const percentOf = async (secondary: string) => (await keyDocument(bed, secondary))?.phaseInPercent;
  const reaches = (secondary: string, percent: number) =>
    until(`${percent} % in ${secondary}`, async () => (await percentOf(secondary)) === percent);

  test('by an operator is in the secondary, which is written only when it changes', async () => {
    const { secret, secondary, service } = await subjects.create('operator', {
      declaration: { gracePeriod: '1 hour', phaseIn: [{ after: '30 minutes', percent: 70 }] },
    });
    const handle = await bed.start(secret);
    await inPhase(handle, 'grace-period');
    expect(await percentOf(secondary)).toBe(0);
    for (const percent of [30, 30, 100, 100, 0, 0]) {
      await update(handle, 'setPhaseIn', { percent });
      await reaches(secondary, percent);
    }
    expect(await changes(secondary)).toBe(3);
    const document = await keyDocument(bed, secondary);
    expect(document).toMatchObject({ endpoint: service.url, graceEndsAt: (await statusOf(handle)).graceEndsAt });
    // A flood is not one of writes: what counts is the last.
    for (let percent = 1; percent <= 99; percent++) await handle.signal('setPhaseIn', { percent });
    await reaches(secondary, 99);
    expect(await changes(secondary)).toBeLessThan(8);
    await update(handle, 'abort');
    await handle.result();
  });

  test('by the schedule of the catalog is in the secondary at its times', async () => {
    const { secret, secondary } = await subjects.create('schedule', {
      declaration: {
        gracePeriod: '9 seconds',
        phaseIn: [
          { after: '2 seconds', percent: 10 },
          { after: '5 seconds', percent: 50 },
          { after: '7 seconds', percent: 100 },
        ],
      },
    });
    const handle = await bed.start(secret);
    const status = await inPhase(handle, 'grace-period');
    const start = Date.parse(status.graceEndsAt ?? '') - 9_000;
    const seen: [number, number][] = [];
    for (const percent of [10, 50, 100]) {
      await reaches(secondary, percent);
      seen.push([percent, Date.now() - start]);
    }
    expect(await changes(secondary)).toBe(3);
    [2_000, 5_000, 7_000].forEach((at, index) => {
      expect(seen[index]?.[1]).toBeGreaterThanOrEqual(at);
      expect(seen[index]?.[1]).toBeLessThan(at + 2_000);
    });
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  });

  test('that an operator has set is no longer changed by the schedule', async () => {
    const { secret, secondary } = await subjects.create('overruled', {
      declaration: { gracePeriod: '6 seconds', phaseIn: [{ after: '3 seconds', percent: 80 }] },
    });
    const handle = await bed.start(secret);
    await inPhase(handle, 'grace-period');
    await handle.signal('setPhaseIn', { percent: 5 });
    await reaches(secondary, 5);
    await delay(4_000);
    expect(await percentOf(secondary)).toBe(5);
    expect(await changes(secondary)).toBe(1);
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
  });
});

test('a worker that was dead during the whole grace period goes on at once, and exactly once', async () => {
  const alone = await openTestbed();
  const others = createKeySubjects(alone);
  try {
    const subject = await others.create('dead', { declaration: { gracePeriod: '6 seconds' } });
    const worker = await alone.startWorker();
    const handle = await alone.start(subject.secret);
    const { graceEndsAt = '' } = await inPhase(handle, 'grace-period');
    expect((await worker.kill('SIGKILL')).signal).toBe('SIGKILL');
    await delay(Date.parse(graceEndsAt) + 12_000 - Date.now());
    expect(await keySituationOf(alone, subject)).toMatchObject({ current: { id: subject.old.id }, oldAccepted: true });

    await alone.startWorker();
    const ready = Date.now();
    await expectRotated(alone, subject, await handle.result());
    expect(Date.now() - ready).toBeLessThan(10_000);
    expect(subject.service.requests('POST /keys')).toBe(1);
    const { events = [] } = await handle.fetchHistory();
    const summaries = events?.flatMap(
      ({ activityTaskScheduledEventAttributes: activity }) => activity?.activityType?.name,
    );
    // stageCandidate puts no label of its own: the only move of labels is the promotion.
    expect(summaries?.filter((name) => name === 'moveLabels')).toHaveLength(1);
    const status: RotationStatus = await statusOf(handle);
    expect(status).toMatchObject({ outcome: 'rotated', graceEndsAt });
  } finally {
    await alone.close();
    await others.stop();
  }
});
