import type { RotationResult, RotationStatus } from '../src/rotation/types';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { createSubject, DRAWN_KINDS, KINDS, RECIPES } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;
let dependent: TestDependent;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  [dependent] = await Promise.all([startDependent('shop', '1 second'), bed.startWorker()]);
});
afterAll(async () => {
  await cli.stop();
  await dependent.stop();
  await bed.close();
});
beforeEach(() => dependent.answer(200));

const id = (secret: string) => bed.secrets.idOf(secret);
const handleOf = (secret: string) => bed.client.workflow.getHandle(`rotation/${id(secret)}`);

/** Starts a command whose rotation stands still before its step `promote`, and returns once it does. */
async function runUpToPromote(secret: string, argv: string[]) {
  const point = { secretId: id(secret), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const command = cli.start(argv);
  await bed.pauses.reached(point);
  return { command, goOn: () => bed.pauses.goOn(point) };
}

describe('keyturn rotate', () => {
  test.each(KINDS)('of a(n) %s secret shows each step on stderr and the new version on stdout', async (kind) => {
    // What a grace period shows is a test of its own.
    const declaration = kind === 'api-key' ? { gracePeriod: '0 seconds', quietPeriod: '0 seconds' } : {};
    const { secret, opens } = await createSubject(bed, kind, `rotated/${kind}`, declaration);
    const before = await bed.secrets.labels(secret);
    const { code, stdout, stderr } = await cli.run(['rotate', id(secret)]);
    const { current, previous } = await bed.secrets.labels(secret);

    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${id(secret)}: AWSCURRENT is now version ${current} (was ${before.current}).\n`,
    });
    expect(previous).toBe(before.current);
    expect(await opens()).toBe(true);
    const { steps } = await handleOf(secret).query<RotationStatus>('status');
    const done = steps.filter(({ state }) => state === 'done');
    expect(done.length).toBeGreaterThan(RECIPES[kind].length / 3);
    for (const { summary } of done) expect(stderr).toContain(`${id(secret)}: done: ${summary} (`);
    for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^\S+: (running|done): /);
  });

  test('creates an application secret that does not exist yet', async () => {
    await bed.declare({ 'new-secret': { type: 'app-secret' } });
    const { code, stdout } = await cli.run(['rotate', id('new-secret')]);
    const { current } = await bed.secrets.labels('new-secret');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${id('new-secret')}: AWSCURRENT is now version ${current}.\n`,
    });
  });

  test('says a step while it runs, and that it is done only afterwards', async () => {
    await createSubject(bed, 'app-secret', 'live');
    const { command, goOn } = await runUpToPromote('live', ['rotate', id('live')]);
    await until('the running step is shown', () =>
      Promise.resolve(command.stderr().includes(`${id('live')}: running: move AWSCURRENT`)),
    );
    expect(command.stderr()).toContain(`${id('live')}: done: store a new version`);
    expect(command.stderr()).not.toContain('done: move AWSCURRENT');
    expect(command.stdout()).toBe('');
    await goOn();
    expect(await command.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('done: move AWSCURRENT') });
  });

  test('with --json writes one document, with the workflow, the run and the result', async () => {
    const { secret } = await createSubject(bed, 'single-user', 'json');
    const { code, ok, result } = await cli.json<RotationResult>(['rotate', id(secret), '--reason', 'a test']);
    const { current, previous } = await bed.secrets.labels(secret);
    const { runId } = await handleOf(secret).describe();
    expect({ code, ok, result }).toMatchObject({
      code: 0,
      ok: true,
      result: {
        workflowId: `rotation/${id(secret)}`,
        runId,
        outcome: 'rotated',
        type: 'database',
        versions: { current, previous },
        requestedBy: 'tester',
        reason: 'a test',
      },
    });
  });

  test('with --detach says what to type next and leaves the rotation to itself', async () => {
    await createSubject(bed, 'app-secret', 'detached');
    const [forPeople, forPrograms] = [
      await cli.run(['rotate', id('detached'), '--detach']),
      await handleOf('detached')
        .result()
        .then(() => cli.json<{ workflowId: string; runId: string }>(['rotate', id('detached'), '--detach'])),
    ];
    expect(forPeople).toMatchObject({ code: 0, stderr: '' });
    expect(forPeople.stdout).toMatch(/^Started rotation\/\S+\/detached \(run [0-9a-f-]{36}\)\.\nFollow it: /);
    expect(forPrograms).toMatchObject({ code: 0, ok: true, result: { secret: 'detached' } });
    const { runId } = forPrograms.result;
    expect(await bed.client.workflow.getHandle(`rotation/${id('detached')}`, runId).result()).toMatchObject({
      outcome: 'rotated',
      versions: { current: runId },
    });
  });

  test.each(KINDS)('with --dry-run lists the steps of a(n) %s secret and changes nothing', async (kind) => {
    const { secret, situation } = await createSubject(bed, kind, `dry/${kind}`);
    const before = await situation();
    const { code, stdout } = await cli.run(['rotate', id(secret), '--dry-run']);
    expect(code).toBe(0);
    const [headline, ...steps] = stdout.trimEnd().split('\n');
    expect(headline).toBe(`Dry run, nothing was touched. For ${id(secret)} it would:`);
    expect(steps.join('\n')).toMatch(/ \d+\. store (a new version of|the new key in) [^]* \d+\. move AWSCURRENT of /);
    steps.forEach((line, index) => expect(line).toMatch(new RegExp(`^  ${index + 1}\\. \\w`)));
    expect(await situation()).toEqual(before);
  });
});

describe('keyturn rotate that fails', () => {
  test('because AWSCURRENT does not open its database says so, changes nothing, and ends with 3', async () => {
    const { secret, logins, situation } = await createSubject(bed, 'single-user', 'locked-out');
    await bed.databases.asSuperuser(`ALTER ROLE "${logins[0]}" PASSWORD 'changed-behind-our-back'`);
    const before = await situation();
    const [forPeople, forPrograms] = [
      await cli.run(['rotate', id(secret)]),
      await cli.json(['rotate', id(secret), '--dry-run']),
    ];
    expect(forPeople).toMatchObject({ code: 3, stdout: '' });
    expect(forPeople.stderr).toMatch(/^Error: .* nothing was changed: AWSCURRENT of .* no longer opens its target/m);
    expect(forPeople.stderr).toContain('Store the password that works');
    expect(forPrograms).toMatchObject({
      code: 3,
      ok: false,
      error: { type: 'RotationRefused', details: { cause: { type: 'CurrentCredentialRefused' } } },
    });
    expect(await situation()).toEqual(before);
  });

  test('after a change says what was undone, and ends with 1', async () => {
    const declaration = { dependents: [dependent.declaration] };
    const { secret, opens } = await createSubject(bed, 'single-user', 'rolled-back', declaration);
    const before = await bed.secrets.labels(secret);
    // Sick with the new version, and healthy with the old one again.
    dependent.answer(async () => ((await bed.secrets.labels(secret)).current === before.current ? 200 : 503));
    const { code, stdout, stderr } = await cli.run(['rotate', id(secret)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: \S+\/rolled-back was not rotated, .* deliver failed: shop /m);
    expect(stderr).toMatch(/^Undone:\n {2}move AWSCURRENT .*\n {2}set the login's password back .*\n/m);
    expect(stderr).toMatch(/: undone: set the login's password /);
    expect(await bed.secrets.labels(secret)).toEqual(before);
    expect(await opens()).toBe(true);
  });

  test('and cannot be undone says what is left to do by hand, and ends with 1', async () => {
    const declaration = { dependents: [dependent.declaration], rollbackTimeout: '3 seconds' };
    const { secret, opens } = await createSubject(bed, 'single-user', 'stuck', declaration);
    dependent.answer(503);
    const { code, stderr } = await cli.run(['rotate', id(secret)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: .* could not be rolled back completely after deliver/m);
    expect(stderr).toMatch(/^Undone:\n {2}move AWSCURRENT /m);
    expect(stderr).toMatch(/^Left to do by hand:\n {2}deliver: deliver the old version to shop again \(shop /m);
    expect(await opens()).toBe(true);
    const { code: statusCode, result } = await cli.json<{ failure: object }>(['status', id(secret)]);
    expect({ statusCode, result }).toMatchObject({
      statusCode: 0,
      result: { execution: 'failed', failure: { type: 'RollbackIncomplete', details: { step: 'deliver' } } },
    });
  });

  test('because it was given something that its type has not ends with 2', async () => {
    await createSubject(bed, 'app-secret', 'no-grace');
    const ended = await cli.json(['rotate', id('no-grace'), '--grace-period', '1 day']);
    expect(ended).toMatchObject({ code: 2, ok: false, error: { type: 'RotationRefused' } });
    expect(ended.error.message).toContain('an app-secret has no grace period');
  });

  test('because the catalog does not know the secret ends with 2, and starts nothing', async () => {
    const ended = await cli.run(['rotate', id('unusd')]);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/declares no secret "unusd".*unused/);
    await expect(handleOf('unusd').describe()).rejects.toThrow(/not found/);
  });

  test('because somebody terminated it ends with 1, and says that the next one finds what is left', async () => {
    const { secret } = await createSubject(bed, 'app-secret', 'terminated');
    const { command, goOn } = await runUpToPromote(secret, ['rotate', id(secret)]);
    await handleOf(secret).terminate('mistaken for another');
    await goOn();
    const { code, stderr } = await command.ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`The rotation of ${id(secret)} was terminated: mistaken for another`);
    expect(stderr).toContain(
      `Terminating undoes nothing. The next rotation finds what is left: keyturn rotate ${id(secret)}`,
    );
    expect(await cli.run(['rotate', id(secret)])).toMatchObject({ code: 0 });
  });
});

describe('Ctrl-C', () => {
  test('stops the waiting with 130, and the rotation goes on', async () => {
    await createSubject(bed, 'app-secret', 'interrupted');
    const { command, goOn } = await runUpToPromote('interrupted', ['rotate', id('interrupted')]);
    command.interrupt();
    const { code, stderr } = await command.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`Error: Stopped waiting. The rotation of ${id('interrupted')} goes on.`);
    expect(stderr).toContain(`keyturn status ${id('interrupted')} --follow`);
    await goOn();
    expect(await handleOf('interrupted').result()).toMatchObject({ outcome: 'rotated' });
  });

  test('is one document with --json', async () => {
    await createSubject(bed, 'app-secret', 'interrupted-json');
    const argv = ['rotate', id('interrupted-json'), '--json'];
    const { command, goOn } = await runUpToPromote('interrupted-json', argv);
    command.interrupt();
    const { code, stdout, stderr } = await command.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: { type: 'Detached', details: { workflowId: `rotation/${id('interrupted-json')}` } },
    });
    await goOn();
    await handleOf('interrupted-json').result();
  });
});

describe('keyturn rollback', () => {
  test.each(DRAWN_KINDS)('brings a(n) %s secret back to the version before, target and all', async (kind) => {
    const { secret, opens } = await createSubject(bed, kind, `back/${kind}`);
    const first = await bed.secrets.labels(secret);
    await bed.rotate(secret);
    const second = await bed.secrets.labels(secret);
    const { code, stdout } = await cli.run(['rollback', id(secret), '--reason', 'the new one makes trouble']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${id(secret)}: AWSCURRENT is now version ${first.current} (was ${second.current}).\n`,
    });
    expect(await bed.secrets.labels(secret)).toMatchObject({ current: first.current, previous: second.current });
    expect(await opens()).toBe(true);
  });

  test('is refused with 3 where there is no version to go back to', async () => {
    await createSubject(bed, 'app-secret', 'first-version');
    const ended = await cli.json(['rollback', id('first-version')]);
    expect(ended).toMatchObject({
      code: 3,
      error: { type: 'RotationRefused', details: { cause: { type: 'NothingToRollBackTo' } } },
    });
  });
});
