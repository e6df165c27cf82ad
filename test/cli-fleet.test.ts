import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

interface Fleet {
  secrets: { secretId: string; outcome: string; error?: { type: string } }[];
}

let bed: Testbed;
let cli: Cli;

beforeAll(async () => {
  bed = await openTestbed();
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
const outcomes = ({ secrets }: Fleet) => Object.fromEntries(secrets.map((entry) => [entry.secretId, entry.outcome]));

test('keyturn rotate --all --dry-run says of every secret what would be done, and touches none', async () => {
  const before = await Promise.all(['jwt', 'app', 'orders'].map(bed.secrets.labels));
  const { code, stdout } = await cli.run(['rotate', bed.environment, '--all', '--dry-run']);
  expect(code).toBe(0);
  for (const secret of ['unused', 'jwt', 'not-yet-there', 'app', 'orders']) {
    expect(stdout).toContain(`Dry run, nothing was touched. For ${id(secret)} it would:\n  1. `);
  }
  expect(await Promise.all(['jwt', 'app', 'orders'].map(bed.secrets.labels))).toEqual(before);
  await expect(bed.secrets.labels('not-yet-there')).rejects.toThrow();
});

test('keyturn rotate --all --type rotates the secrets of that type and no other', async () => {
  const { current } = await bed.secrets.labels('app');
  const { code, result } = await cli.json<Fleet>(['rotate', bed.environment, '--all', '--type', 'app-secret']);
  expect({ code, outcomes: outcomes(result) }).toEqual({
    code: 0,
    outcomes: { [id('unused')]: 'rotated', [id('jwt')]: 'rotated', [id('not-yet-there')]: 'rotated' },
  });
  expect((await bed.secrets.labels('app')).current).toBe(current);
});

test('keyturn rotate --all goes on when one is refused and another one fails, names both, and ends with 1', async () => {
  const { username } = await bed.databases.singleUser('locked-out');
  await bed.databases.asSuperuser(`ALTER ROLE "${username}" PASSWORD 'changed-behind-our-back'`);
  await bed.secrets.create('no-database', 'not JSON at all');
  await bed.declare({ 'no-database': { type: 'database', strategy: 'single-user' } });
  const unhealthy = { http: { name: 'nobody', healthUrl: 'http://127.0.0.1:1/healthz', timeout: '1 second' } };
  await bed.declare({ jwt: { type: 'app-secret', dependents: [unhealthy] } });

  const { code, stdout, stderr } = await cli.run(['rotate', bed.environment, '--all', '--concurrency', '2']);
  expect(code).toBe(1);
  for (const secret of ['unused', 'not-yet-there', 'app', 'orders']) {
    expect(stdout).toContain(`${id(secret)}: AWSCURRENT is now version `);
  }
  expect(stdout).toContain(`${id('locked-out')}: refused: `);
  expect(stdout).toContain(`${id('no-database')}: refused: `);
  expect(stdout).toContain(`${id('jwt')}: failed: `);
  expect(stderr).toContain(`4 of 7 secrets of ${bed.environment} are done, 1 failed, 2 were refused.`);
  expect(await bed.databases.opens('app')).toBe(true);
  expect(await bed.databases.opens('orders')).toBe(true);
});

test('keyturn rotate --all --detach starts all of them, and refuses those that run already', async () => {
  const point = { secretId: id('orders'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const running = await bed.start('orders');
  await bed.pauses.reached(point);
  const argv = ['rotate', bed.environment, '--all', '--type', 'database', '--detach'];
  const { code, error } = await cli.json(argv);
  expect({ code, type: error.type }).toEqual({ code: 3, type: 'FleetIncomplete' });
  expect(outcomes(error.details as Fleet)).toEqual({
    [id('app')]: 'started',
    [id('orders')]: 'refused',
    [id('locked-out')]: 'started',
    [id('no-database')]: 'started',
  });
  await bed.pauses.goOn(point);
  await running.result();
  await bed.client.workflow.getHandle(`rotation/${id('app')}`).result();
});

test('Ctrl-C starts no more, says how many go on, and ends with 130', async () => {
  const point = { secretId: id('unused'), step: 'promote', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const argv = ['rotate', bed.environment, '--all', '--type', 'app-secret', '--concurrency', '1'];
  const command = cli.start(argv);
  await bed.pauses.reached(point);
  command.interrupt();
  const { code, stdout, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stdout).toContain(`${id('unused')}: detached: Stopped waiting.`);
  expect(stdout).toContain(`${id('jwt')}: not-started\n`);
  expect(stderr).toContain('you stopped waiting for 1, which go on, and 2 were not started.');
  await bed.pauses.goOn(point);
  expect(await bed.client.workflow.getHandle(`rotation/${id('unused')}`).result()).toMatchObject({
    outcome: 'rotated',
  });
});
