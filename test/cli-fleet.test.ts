import type { FleetReport } from '../src/rotation/fleet';
import { rotationWorkflowId } from '../src/rotation/names';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { fleetOf, outcomesOf } from './testbed/fleets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let cli: Cli;

beforeAll(async () => {
  // Rotations stand still for as long as others take.
  bed = await openTestbed({ stepTimeout: '10 minutes' });
  cli = createCli(bed);
  await bed.startWorker();
  await bed.secrets.create('jwt', 'first-value-of-jwt');
  await bed.declare({ jwt: { type: 'app-secret' }, 'not-yet-there': { type: 'app-secret' } });
  await bed.databases.singleUser('app');
  await bed.databases.alternatingUsers('orders');
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);
const emergency = () => fleetOf(bed, { emergency: true });

test('keyturn rotate --all --dry-run says of every secret that it would be rotated, and touches none', async () => {
  const before = await Promise.all(['jwt', 'app', 'orders'].map(bed.secrets.labels));
  const { code, stdout } = await cli.run(['rotate', bed.environment, '--all', '--dry-run']);
  expect(code).toBe(0);
  for (const secret of ['unused', 'jwt', 'not-yet-there', 'app', 'orders']) {
    expect(stdout).toContain(`${id(secret)}: dry-run\n`);
  }
  expect(stdout).toContain(`${bed.environment}: 5 secrets, 5 would be rotated, 0 failed, 0 skipped, 0 not started.`);
  expect(await Promise.all(['jwt', 'app', 'orders'].map(bed.secrets.labels))).toEqual(before);
  await expect(bed.secrets.labels('not-yet-there')).rejects.toThrow();
});

test('keyturn rotate --all --type rotates the secrets of that type and no other', async () => {
  const { current } = await bed.secrets.labels('app');
  const { code, result } = await cli.json<FleetReport>(['rotate', bed.environment, '--all', '--type', 'app-secret']);
  expect({ code, outcomes: outcomesOf(result) }).toEqual({
    code: 0,
    outcomes: { unused: 'rotated', jwt: 'rotated', 'not-yet-there': 'rotated' },
  });
  expect((await bed.secrets.labels('app')).current).toBe(current);
});

test('an emergency goes before all other work, of one secret as of all', async () => {
  const priorityOf = async (workflowId: string) =>
    (await bed.client.workflow.getHandle(workflowId).describe()).priority?.priorityKey;
  expect((await cli.run(['rotate', id('jwt'), '--emergency'])).code).toBe(0);
  expect(await priorityOf(rotationWorkflowId(bed.environment, 'jwt'))).toBe(1);
  const { code } = await cli.run(['rotate', bed.environment, '--all', '--type', 'app-secret', '--emergency']);
  expect(code).toBe(0);
  expect(await priorityOf(emergency().workflowId)).toBe(1);
  expect(await priorityOf(rotationWorkflowId(bed.environment, 'unused'))).toBe(1);
});

test('types that Keyturn does not rotate yet match nothing, and that is said', async () => {
  const { code, stdout } = await cli.run(['rotate', bed.environment, '--all', '--type', 'certificates,ssh-keys']);
  expect(code).toBe(0);
  expect(stdout).toContain('Keyturn does not rotate ssh-keys yet');
  expect(stdout).toContain(`${bed.environment}: 0 secrets`);
});

test('keyturn rotate --all goes on when some fail, names them while it waits and at the end, and ends with 1', async () => {
  const { username } = await bed.databases.singleUser('locked-out');
  await bed.databases.asSuperuser(`ALTER ROLE "${username}" PASSWORD 'changed-behind-our-back'`);
  await bed.secrets.create('no-database', 'not JSON at all');
  await bed.declare({ 'no-database': { type: 'database', strategy: 'single-user' } });

  const { code, stdout, stderr } = await cli.run(['rotate', bed.environment, '--all', '--concurrency', '2']);
  expect(code).toBe(1);
  for (const secret of ['app', 'orders']) expect(stdout).toContain(`${id(secret)}: rotated\n`);
  for (const secret of ['locked-out', 'no-database']) {
    expect(stdout).toContain(`${id(secret)}: refused: `);
    expect(stderr).toContain(`${id(secret)}: refused: `);
  }
  expect(stdout).toMatch(new RegExp(`^${id('jwt')}: too-soon: it was rotated .* ago`, 'm'));
  expect(stderr).toMatch(/ 2 failed, \d were skipped, 0 were not started\./);
  expect(await bed.databases.opens('app')).toBe(true);
  expect(await bed.databases.opens('orders')).toBe(true);
});

describe('while an environment is rotated', () => {
  const points = () =>
    ['jwt', 'unused', 'not-yet-there'].map(
      (secret) => ({ secretId: id(secret), step: 'promote', when: 'before' }) as const,
    );
  const rotateAll = () => [
    'rotate',
    bed.environment,
    '--all',
    '--type',
    'app-secrets',
    '--emergency',
    '--concurrency',
    '1',
  ];

  beforeAll(async () => {
    await Promise.all(points().map(bed.pauses.stopAt));
    const { code, stdout } = await cli.run([...rotateAll(), '--detach']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining(`Started fleet/${bed.environment}/emergency (run `) as string,
    });
    await until('the first one stands still', async () => {
      const { running } = await emergency()
        .status()
        .catch(() => ({ running: [] }));
      return running.length === 1;
    });
  });

  test('the same command joins it, and Ctrl-C leaves it running with exit code 130', async () => {
    const joined = cli.start(rotateAll());
    await until('it is followed', () => Promise.resolve(joined.stderr().includes('0 of 3 done, 1 running')));
    expect(joined.stderr()).toMatch(
      /is being rotated \(app-secrets, emergency\) since \S+, started by tester: .* Nothing was started/,
    );
    joined.interrupt();
    const { code, stderr } = await joined.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringContaining('goes on being rotated') as string });
  });

  test('another one is refused with what runs since when, and exit code 3', async () => {
    const { code, error } = await cli.json(['rotate', bed.environment, '--all']);
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
    expect(error.message).toMatch(/ \(app-secrets, emergency\) since \S+Z, started by tester: /);
    expect(error.message).toContain('An emergency goes first: type the same again when it has ended.');
    expect(error.message).not.toContain('keyturn abort');
  });

  /** Of a fleet that starts no more: no message sends to another one that sends back. */
  async function expectWaysOut(): Promise<void> {
    const again = await cli.json(rotateAll());
    expect({ code: again.code, type: again.error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
    expect(again.error.message).toContain(
      'It starts no more already (aborted by tester: enough), and ends when the rotation that runs has ended; type the same again then.',
    );
    expect(again.error.message).not.toContain('keyturn abort');
    const ordinary = await cli.json(['rotate', bed.environment, '--all']);
    expect(ordinary.error.message).toContain('type the same again then');
    const { code, error } = await cli.json(['abort', bed.environment, '--all', '--emergency']);
    expect({ code, message: error.message }).toEqual({
      code: 3,
      message: expect.stringMatching(
        /it starts no more already [^]*It ends when the rotations that it has started/,
      ) as string,
    });
    expect((await cli.run(['status', bed.environment])).stdout).not.toContain('keyturn abort');
  }

  test('an emergency of another reason is not joined, because what was rotated before may have leaked since', async () => {
    const { code, error } = await cli.json([...rotateAll(), '--reason', 'another leak']);
    expect({ code, type: error.type }).toEqual({ code: 3, type: 'AlreadyRunning' });
    expect(error.message).toContain('may have leaked since: type the same again when it has ended');
    expect(error.message).toContain(`keyturn status ${bed.environment} --follow`);
    expect(error.message).not.toContain('keyturn abort');
  });

  test('keyturn abort --all --emergency starts no more, and what follows it ends with 1 and says who stopped it', async () => {
    const following = cli.start(rotateAll());
    await until('it is followed', () => Promise.resolve(following.stderr().includes('1 running')));
    const aborted = await cli.run(['abort', bed.environment, '--all', '--emergency', '--reason', 'enough']);
    expect(aborted).toMatchObject({ code: 0, stdout: expect.stringContaining('those that run go on') as string });
    await expectWaysOut();
    await Promise.all(points().map(bed.pauses.goOn));
    const { code, stdout, stderr } = await following.ended;
    expect(code).toBe(1);
    expect(stdout).toContain('3 secrets, 1 succeeded, 0 failed, 0 skipped, 2 not started.');
    expect(stderr).toContain('It stopped early: aborted by tester: enough.');
    await emergency().handle().result();
    expect(await cli.run(['abort', bed.environment, '--all'])).toMatchObject({ code: 3 });
    expect(await cli.run(['abort', bed.environment, '--all', '--emergency'])).toMatchObject({ code: 3 });
  }, 300_000);
});
