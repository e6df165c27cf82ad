import type { FleetEntry, FleetReport } from '../src/rotation/fleet';
import { fleetWorkflowId, rotationWorkflowId } from '../src/rotation/names';
import type { RotationResult } from '../src/rotation/types';
import { createCli } from './testbed/cli-process';
import type { Cli, RunningCli } from './testbed/cli-process';
import { fleetOf, outcomesOf } from './testbed/fleets';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const DATABASES = ['orders', 'payments'];
const SECRETS = [...DATABASES, 'unused'];

let bed: Testbed;
let cli: Cli;

beforeAll(async () => {
  // Rotations stand still for as long as others take.
  bed = await openTestbed({ fleet: { concurrency: 1 }, stepTimeout: '10 minutes' });
  cli = createCli(bed);
  await bed.secrets.create('unused', 'first-value-of-unused');
  for (const name of DATABASES) await bed.databases.alternatingUsers(name, { declaration: { gracePeriod: '7 days' } });
  await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
});

const ordinary = () => fleetOf(bed);
const emergency = () => fleetOf(bed, { emergency: true });
const before = (step: string, secret: string) =>
  ({ secretId: bed.secrets.idOf(secret), step, when: 'before' }) as const;
const declare = (...more: string[]) => ['rotate', bed.environment, '--all', '--emergency', ...more];

describe('an emergency that is declared while an ordinary fleet has a secret in the middle', () => {
  /** The versions in use before. */
  const first = new Map<string, string>();
  let handle: Awaited<ReturnType<ReturnType<typeof ordinary>['start']>>;
  let declared: RunningCli;
  /** The secret in the middle. */
  let held: string;

  beforeAll(async () => {
    for (const secret of SECRETS) first.set(secret, (await bed.secrets.labels(secret)).current ?? '');
    await Promise.all(SECRETS.map((secret) => bed.pauses.stopAt(before('promote', secret))));
    handle = await ordinary().start({ reason: 'yearly' });
    held = await until('one runs', async () => (await ordinary().status()).running[0]?.secret);
    await bed.pauses.reached(before('promote', held));
    await Promise.all(SECRETS.filter((secret) => secret !== held).map((s) => bed.pauses.goOn(before('promote', s))));
  });

  test('is not there yet: who wants to stop it is told what runs, and what to type', async () => {
    const { code, error } = await cli.json(['abort', bed.environment, '--all', '--emergency']);
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'NotRunning' });
    expect(error.message).toBe(
      `No emergency of ${bed.environment} is running, but an ordinary rotation of all of it is. Nothing was changed.\n` +
        `Stop that one: keyturn abort ${bed.environment} --all --reason '...'`,
    );
    expect(await cli.run(['abort', bed.secrets.idOf(held), '--emergency'])).toMatchObject({ code: 2 });
  });

  test('does not wait for it when it is only planned, and leaves it alone', async () => {
    const { code, error } = await cli.json(declare('--dry-run'));
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
    expect((await ordinary().status()).stopped).toBeUndefined();
    expect(
      await emergency()
        .handle()
        .describe()
        .catch(() => 'none'),
    ).toBe('none');
  });

  test('begins at once: the ordinary fleet starts no more, and the others are rotated while that one stands still', async () => {
    declared = cli.start(declare('--reason', 'INC-1'));
    const status = await until('only one is left', async () => {
      const now = await emergency()
        .status()
        .catch(() => undefined);
      return now !== undefined && now.succeeded === now.total - 1 && now.inTheWay === 1 && now;
    });
    expect(status).toMatchObject({ total: 3, inTheWay: 1, waitsFor: [{ secret: held }], running: [], failed: 0 });
    expect(await ordinary().status()).toMatchObject({
      stopped: 'aborted by tester: an emergency: INC-1',
      running: [{ secret: held }],
      notStarted: 2,
    });
    expect(declared.stderr()).toMatch(
      / is being rotated \(all\) since \S+Z, started by tester: .* It starts no more, /,
    );
  });

  test('is shown beside the ordinary fleet, each with what to type', async () => {
    const { stdout } = await cli.run(['status', bed.environment]);
    expect(stdout).toMatch(/: fleet \(all, emergency\) since \S+Z, started by tester \(INC-1\)\n/);
    expect(stdout).toMatch(/: fleet \(all\) since \S+Z, started by tester \(yearly\)\n/);
    expect(stdout).toContain('It starts no more: aborted by tester: an emergency: INC-1');
    expect(stdout).toContain(`keyturn abort ${bed.environment} --all --emergency --reason '...'`);
    await until('visibility knows both', async () => {
      const { stdout: all } = await cli.run(['status']);
      return /fleet \(all, emergency\) +2 of 3 done/.test(all) && /fleet \(all\) +2 of 3 done/.test(all);
    });
    const one = await cli.run(['status', bed.secrets.idOf(held)]);
    expect(one.stdout).toContain(`${bed.environment} is being rotated as a whole, in an emergency, since `);
  });

  test('is what keyturn status --follow waits for', async () => {
    const following = cli.start(['status', bed.environment, '--follow']);
    await until('it is followed', () => Promise.resolve(following.stderr().includes('1 waiting for what ran before')));
    expect(following.stderr()).toContain('This follows the emergency.');
    following.interrupt();
    const { code, stderr } = await following.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`keyturn abort ${bed.environment} --all --emergency`);
  });

  test('lets the ordinary fleet end with what was in the middle, and then no other begin', async () => {
    await bed.pauses.stopAt(before('createCandidate', held));
    await bed.pauses.goOn(before('promote', held));
    const report = (await handle.result()) as FleetReport;
    expect(report).toMatchObject({ succeeded: 1, notStarted: 2, stopped: 'aborted by tester: an emergency: INC-1' });
    await bed.pauses.reached(before('createCandidate', held));

    // As a schedule starts it.
    const weekly = await ordinary().start({ due: true }, `weekly-${bed.environment}`);
    const refused = await failureOf(weekly.result());
    expect(refused).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'AlreadyRunning' } } });
    expect(refused.message).toMatch(
      /an emergency of \S+ runs since \S+Z, started by tester \(INC-1\), and goes first\. Start this one again/,
    );
    const { code, error } = await cli.json(['rotate', bed.environment, '--all']);
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
    expect(error.message).toContain('An emergency goes first: type the same again when it has ended.');
  });

  test('is not taken for the ordinary fleet by who wants to stop that one', async () => {
    const { code, error } = await cli.json(['abort', bed.environment, '--all']);
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'NotRunning' });
    expect(error.message).toContain(`Stop that one: keyturn abort ${bed.environment} --all --emergency`);
    expect((await emergency().status()).stopped).toBeUndefined();
  });

  test('rotates every secret, the one in its way too, and leaves no old value valid', async () => {
    await bed.pauses.goOn(before('createCandidate', held));
    const { code } = await declared.ended;
    expect(code).toBe(0);
    const report = (await emergency().handle().result()) as FleetReport;
    expect(outcomesOf(report)).toEqual(Object.fromEntries(SECRETS.map((secret) => [secret, 'rotated'])));
    expect(report.secrets.find(({ secret }) => secret === held)).toMatchObject<Partial<FleetEntry>>({
      after: expect.stringMatching(/ runs since \S+ by tester, now at promote$/) as string,
    });
    for (const secret of SECRETS) {
      const rotation = bed.client.workflow.getHandle(rotationWorkflowId(bed.environment, secret));
      const { emergency: isOne, versions } = (await rotation.result()) as RotationResult;
      expect({ secret, isOne }).toEqual({ secret, isOne: true });
      expect((await bed.secrets.labels(secret)).current).toBe(versions.current);
      expect(versions.previous === first.get(secret)).toBe(secret !== held);
      if (!DATABASES.includes(secret)) continue;
      for (const versionId of [first.get(secret) ?? '', versions.previous ?? '']) {
        expect(await bed.databases.opens(secret, { versionId })).toBe(false);
      }
      expect(await bed.databases.opens(secret)).toBe(true);
    }
  });
});

test('an emergency goes on under its own ID whatever ID it was started under', async () => {
  await bed.pauses.stopAt(before('promote', 'unused'));
  const types = ['app-secrets' as const];
  const byHand = await emergency().start({ types }, fleetWorkflowId(bed));
  await bed.pauses.reached(before('promote', 'unused'));
  expect(await emergency().status()).toMatchObject({ emergency: true, running: [{ secret: 'unused' }] });
  await bed.pauses.goOn(before('promote', 'unused'));
  expect(outcomesOf((await byHand.result()) as FleetReport)).toEqual({ unused: 'rotated' });
  expect((await emergency().handle().describe()).status.name).toBe('COMPLETED');
});
