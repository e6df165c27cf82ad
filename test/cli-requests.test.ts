import type { RotationStatus } from '../src/rotation/types';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { createSubject } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);
const handleOf = (secret: string) => bed.client.workflow.getHandle(`rotation/${id(secret)}`);

/** Starts a rotation that stands still before a step, and returns once it does. */
async function rotationAt(secret: string, step: string, input: object = {}) {
  const point = { secretId: id(secret), step, when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const handle = await bed.start(secret, input);
  await bed.pauses.reached(point);
  return {
    runId: handle.firstExecutionRunId,
    async goOn() {
      await bed.pauses.goOn(point);
      return handle.result();
    },
  };
}

/** An alternating-users secret whose rotation is in a grace period of an hour. */
async function rotationInGracePeriod(secret: string) {
  const subject = await createSubject(bed, 'alternating-users', secret, { gracePeriod: '1 hour' });
  const handle = await bed.start(secret);
  const status = () => handle.query<RotationStatus>('status');
  await until(`${secret} is in its grace period`, async () => (await status()).phase === 'grace-period');
  const endsAt = async () => Date.parse((await status()).graceEndsAt ?? '');
  return { ...subject, handle, endsAt };
}

const HOUR_MS = 3_600_000;

describe('keyturn status', () => {
  test('of a secret that runs shows phase, step, versions and who started it', async () => {
    await createSubject(bed, 'single-user', 'shown');
    const { current } = await bed.secrets.labels('shown');
    const { runId, goOn } = await rotationAt('shown', 'promote', { requestedBy: 'night shift', reason: 'a drill' });
    const { code, stdout, stderr } = await cli.run(['status', id('shown')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\S+: rotateDatabaseCredential since \S+, running, started by night shift \(a drill\)$/m);
    expect(stdout).toContain(`Phase: rotating\nVersions: current ${current}, candidate ${runId}\n`);
    expect(stdout).toMatch(/^ {2}▸ +\d+ \w+ {2}move AWSCURRENT of /m);

    const { result } = await cli.json<{ status: RotationStatus }>(['status', id('shown')]);
    expect(result).toMatchObject({ execution: 'running', runId, status: { phase: 'rotating', step: 'promote' } });
    const shown = result.status.steps.filter(({ state }) => state !== 'skipped');
    const lines = stdout.split('\n').filter((line) => line.startsWith('  '));
    expect(lines).toHaveLength(shown.length);
    shown.forEach(({ state, summary }, index) => {
      const mark = { done: '✓', running: '▸', pending: '·' }[state as string];
      expect(lines[index]).toMatch(new RegExp(`^  ${mark} `));
      expect(lines[index]).toContain(summary);
    });
    await goOn();
  });

  test('of one that ended shows the result', async () => {
    const { code, stdout } = await cli.run(['status', id('shown')]);
    const { current } = await bed.secrets.labels('shown');
    expect(code).toBe(0);
    expect(stdout).toContain('Phase: finished');
    expect(stdout).toContain(`AWSCURRENT is now version ${current}`);
  });

  test('of one that nobody ever rotated ends with 2', async () => {
    const ended = await cli.json(['status', id('unused')]);
    expect(ended).toMatchObject({ code: 2, error: { type: 'NoRotationFound' } });
    expect(ended.error.message).toContain(`keyturn rotate ${id('unused')}`);
  });

  test('without a secret lists what runs', async () => {
    await createSubject(bed, 'app-secret', 'listed');
    const { goOn } = await rotationAt('listed', 'promote');
    const listed = await until('the list shows it', async () => {
      const { stdout } = await cli.run(['status']);
      return stdout.includes(id('listed')) && stdout;
    });
    expect(listed).toMatch(/^SECRET +WORKFLOW +PHASE +SINCE\n\S+\/listed +rotateAppSecret +rotating +\d{4}-\S+Z\n$/);
    await goOn();
    await until('the list is empty again', async () => {
      const { result } = await cli.json<{ running: object[] }>(['status']);
      return result.running.length === 0;
    });
    expect(await cli.run(['status'])).toMatchObject({ code: 0, stdout: 'No rotation is running.\n' });
  });

  test('with --follow waits for the end, showing the steps', async () => {
    await createSubject(bed, 'app-secret', 'followed');
    const { goOn, runId } = await rotationAt('followed', 'promote');
    const command = cli.start(['status', id('followed'), '--follow']);
    await until('the step is shown', () => Promise.resolve(command.stderr().includes('running: move AWSCURRENT')));
    await goOn();
    const { code, stdout, stderr } = await command.ended;
    expect(code).toBe(0);
    expect(stdout).toContain(`AWSCURRENT is now version ${runId}`);
    expect(stderr).toContain('done: move AWSCURRENT');
  });
});

test('a second start is refused with 3, says what runs since when and at which step, and leaves it alone', async () => {
  await createSubject(bed, 'app-secret', 'twice');
  const { goOn, runId } = await rotationAt('twice', 'promote', { requestedBy: 'night shift' });
  const { code, stdout, stderr } = await cli.run(['rotate', id('twice')]);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toMatch(
    /^Error: \S+\/twice is already being changed: rotateAppSecret runs since \d{4}-\S+Z, started by night shift, at step promote \(rotating\)\.\nNothing was started\.\n/,
  );
  expect(stderr).toContain(`keyturn status ${id('twice')} --follow`);
  const rollback = await cli.json(['rollback', id('twice')]);
  expect(rollback).toMatchObject({ code: 3, error: { type: 'AlreadyRunning', details: { runId } } });
  expect(await goOn()).toMatchObject({ outcome: 'rotated', versions: { current: runId } });
});

describe('keyturn abort', () => {
  test('undoes what runs; who waits for it is told with 1, and status says who asked', async () => {
    const { opens } = await createSubject(bed, 'single-user', 'aborted');
    const before = await bed.secrets.labels('aborted');
    const point = { secretId: id('aborted'), step: 'promote', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const waiting = cli.start(['rotate', id('aborted')]);
    await bed.pauses.reached(point);
    const { code, stdout } = await cli.run(['abort', id('aborted'), '--reason', 'wrong secret']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${id('aborted')}: the rotation stops, and what it did is undone\nFollow it: keyturn status ${id('aborted')} --follow\n`,
    });
    await bed.pauses.goOn(point);
    const ended = await waiting.ended;
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(
      `Error: The rotation of ${id('aborted')} was aborted by tester: wrong secret. AWSCURRENT is version ${before.current}.`,
    );
    expect(await bed.secrets.labels('aborted')).toEqual(before);
    expect(await opens()).toBe(true);
    const { stdout: status } = await cli.run(['status', id('aborted')]);
    expect(status).toMatch(/^\d{4}-\S+Z abort by tester \(wrong secret\)$/m);
    expect(status).toContain(`${id('aborted')}: aborted (wrong secret); AWSCURRENT is version ${before.current}.`);
  });

  test('past the point of no return is refused with 3 and the reason, and the rotation goes forward', async () => {
    await createSubject(bed, 'alternating-users', 'too-late', { gracePeriod: '0 s' });
    const { goOn } = await rotationAt('too-late', 'lockOldLogin');
    const { code, stdout, stderr } = await cli.run(['abort', id('too-late')]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain(`past its point of no return (lockOldLogin)`);
    expect(stderr).toContain(`keyturn rollback ${id('too-late')}`);
    expect(await cli.json(['abort', id('too-late')])).toMatchObject({
      code: 3,
      ok: false,
      error: { type: 'PastPointOfNoReturn' },
    });
    expect(await goOn()).toMatchObject({ outcome: 'rotated' });
  });

  test('is refused with 3 when nothing runs, with what ran last', async () => {
    await createSubject(bed, 'app-secret', 'over');
    await bed.rotate('over');
    const [over, never] = [await cli.run(['abort', id('over')]), await cli.json(['abort', id('unused')])];
    expect(over).toMatchObject({ code: 3, stdout: '' });
    expect(over.stderr).toMatch(/No rotation of \S+ is running\. The last one \(rotateAppSecret\) completed at \d{4}-/);
    expect(never).toMatchObject({ code: 3, error: { type: 'NotRunning' } });
  });
});

describe('a grace period', () => {
  test('is extended by a duration or until a time, and ended, by its commands', async () => {
    const { secret, handle, endsAt } = await rotationInGracePeriod('grace');
    const { current: inUse, previous: old = '' } = await bed.secrets.labels(secret);
    const end = await endsAt();
    expect(await cli.run(['extend', id(secret), '--by', '2 hours'])).toMatchObject({
      code: 0,
      stdout: `${id(secret)}: the grace period is longer now\nGrace period until ${new Date(end + 2 * HOUR_MS).toISOString()}.\nFollow it: keyturn status ${id(secret)} --follow\n`,
    });
    const until = new Date(end + 5 * HOUR_MS).toISOString();
    expect(await cli.json(['extend', id(secret), '--until', until, '--reason', 'a release is due'])).toMatchObject({
      code: 0,
      result: { graceEndsAt: until },
    });
    expect(await endsAt()).toBe(Date.parse(until));
    const { stdout } = await cli.run(['status', id(secret)]);
    expect(stdout).toMatch(
      new RegExp(
        `^Phase: grace-period\nGrace period until ${until} \\(5 h 5\\d min left\\)\nCan be moved to \\S+Z at the latest$`,
        'm',
      ),
    );
    expect(stdout).toMatch(/^\d{4}-\S+Z extendGracePeriod until \S+ by tester \(a release is due\)$/m);
    for (const command of ["extend \\S+ --by '3 days'", 'end-grace \\S+', "abort \\S+ --reason '...'"]) {
      expect(stdout).toMatch(new RegExp(`^[\\w :]+: +keyturn ${command}$`, 'm'));
    }
    expect(stdout).not.toContain('phase-in');
    const { result } = await cli.json<{ graceLeftMs: number; canType: { command: string }[] }>(['status', id(secret)]);
    expect(result.graceLeftMs).toBeGreaterThan(5.9 * HOUR_MS);
    expect(result.canType).toContainEqual({
      what: 'End it: lock the old login now',
      command: `keyturn end-grace ${id(secret)}`,
    });
    const second = await cli.run(['rotate', id(secret)]);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain(
      `at step gracePeriod (grace-period).\nNothing was started.\nGrace period until ${until}`,
    );
    expect(second.stderr).toContain(`keyturn end-grace ${id(secret)}\n`);
    expect(await cli.json(['phase-in', id(secret), '50'])).toMatchObject({
      code: 3,
      error: { type: 'NotInGracePeriod' },
    });
    expect(await bed.databases.opens(secret, { versionId: old })).toBe(true);

    const ended = await cli.run(['end-grace', id(secret), '--reason', 'everyone has moved']);
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('the grace period is over') });
    expect(await handle.result()).toMatchObject({ outcome: 'rotated', versions: { current: inUse } });
    expect(await bed.databases.opens(secret, { versionId: old })).toBe(false);
    expect(await bed.databases.opens(secret)).toBe(true);
  });

  test('is not moved back nor beyond 30 days: refused with 3, and it ends as before', async () => {
    const { secret, handle, endsAt } = await rotationInGracePeriod('grace-kept');
    const end = await endsAt();
    const earlier = new Date(end - HOUR_MS / 2).toISOString();
    for (const [argv, why] of [
      [['--until', earlier], 'would not be longer'],
      [['--by', '31 days'], 'it can last until '],
    ] as const) {
      const refused = await cli.json(['extend', id(secret), ...argv]);
      expect(refused).toMatchObject({ code: 3, error: { type: 'BadRequest' } });
      expect(refused.error.message).toContain(why);
    }
    expect(await endsAt()).toBe(end);
    expect(await cli.run(['abort', id(secret)])).toMatchObject({ code: 0 });
    expect(await handle.result()).toMatchObject({ outcome: 'aborted' });
    expect(await bed.databases.opens(secret)).toBe(true);
  });

  test('that has not begun is neither extended nor ended: refused with 3, and where the rotation stands', async () => {
    await createSubject(bed, 'alternating-users', 'no-grace-yet', { gracePeriod: '0 s' });
    const { goOn } = await rotationAt('no-grace-yet', 'promote');
    for (const argv of [
      ['extend', id('no-grace-yet'), '--by', '1 day'],
      ['end-grace', id('no-grace-yet')],
    ]) {
      const { code, stdout, stderr } = await cli.run(argv);
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
      expect(stderr).toContain('is not in its grace period (it is rotating, at promote)');
    }
    expect(await goOn()).toMatchObject({ outcome: 'rotated' });
    const nothingRuns = await cli.json(['extend', id('no-grace-yet'), '--by', '1 day']);
    expect(nothingRuns).toMatchObject({ code: 3, error: { type: 'NotRunning' } });
  });
});

test('a rotation that is waited for says that it is in its grace period, what can be typed, and goes on after Ctrl-C', async () => {
  const { secret } = await createSubject(bed, 'alternating-users', 'waited-for', { gracePeriod: '1 hour' });
  const command = cli.start(['rotate', id(secret)]);
  const said = await until('the grace period is announced', () =>
    Promise.resolve(command.stderr().includes('keyturn end-grace') && command.stderr()),
  );
  expect(said).toMatch(/: grace period until \d{4}-\S+Z \(59 min 5\d s left\); can be moved to \S+Z at the latest\n/);
  expect(said).toContain('Ctrl-C stops waiting; the rotation goes on.\n');
  command.interrupt();
  const { code, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stderr).toContain(`Error: Stopped waiting. The rotation of ${id(secret)} goes on.\nFollow it: `);
  expect(stderr.slice(stderr.indexOf('Stopped waiting'))).toContain(`keyturn extend ${id(secret)} --by '3 days'`);
  expect(await cli.run(['end-grace', id(secret)])).toMatchObject({ code: 0 });
  expect(await handleOf(secret).result()).toMatchObject({ outcome: 'rotated' });
});

test('without a worker every command says so, and a request is offered as a signal that waits for one', async () => {
  const nobody = { KEYTURN_TASK_QUEUE: `${bed.taskQueue}-nobody` };
  const secretId = id('unused');
  const follower = cli.start(['rotate', secretId], nobody);
  await until('it has started', () =>
    handleOf('unused')
      .describe()
      .catch(() => undefined),
  );
  const [status, abort, extend, phaseIn] = await Promise.all([
    cli.run(['status', secretId], nobody),
    cli.run(['abort', secretId, '--reason', "it's wrong"], nobody),
    cli.run(['extend', secretId, '--by', '3 days', '--reason', 'later'], nobody),
    cli.run(['phase-in', secretId, '50'], nobody),
    until('the follower says that nobody works', () =>
      Promise.resolve(follower.stderr().includes(`${secretId}: waiting: no worker is polling task queue`)),
    ),
  ]);
  expect(status).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('The steps are not known: no worker is polling'),
  });
  expect(abort.code).toBe(1);
  const signal = abort.stderr.trim().split('\n').at(-1) ?? '';
  expect(signal).toBe(
    `temporal workflow signal --workflow-id 'rotation/${secretId}' --name abort --input '{"reason":"it'\\''s wrong","requestedBy":"tester"}'`,
  );
  const request = `--workflow-id 'rotation/${secretId}' --name`;
  expect(extend.stderr).toMatch(
    new RegExp(
      `${request} extendGracePeriod --input '{"by":"3 days","requestId":"[0-9a-f-]{36}","reason":"later","requestedBy":"tester"}'\n$`,
    ),
  );
  expect(phaseIn.stderr).toContain(`${request} setPhaseIn --input '{"percent":50,"requestedBy":"tester"}'\n`);
  await handleOf('unused').terminate('nobody will ever work on it');
  expect(await follower.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('was terminated') });
});
