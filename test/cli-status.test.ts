import type { EnvironmentRun } from '../src/client/environment-runs';
import type { RunningRotation } from '../src/client/rotation-report';
import type { WorkerProcess } from './lab/worker-process';
import { createBackupPlace, startBackup } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { fleetOf } from './testbed/fleets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let place: BackupPlace;
let cli: Cli;
let worker: WorkerProcess;

beforeAll(async () => {
  place = await createBackupPlace();
  // Rotations stand still for as long as the commands take.
  bed = await openTestbed({ ...place.policy, fleet: { concurrency: 1 }, stepTimeout: '10 minutes' });
  cli = createCli(bed);
  worker = await bed.startWorker();
  for (const secret of ['unused', 'jwt']) await bed.secrets.create(secret, `first-value-of-${secret}`);
  await bed.declare({ jwt: { type: 'app-secret' } });
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
  place.close();
});

interface Status {
  environments: EnvironmentRun[];
  running: RunningRotation[];
}

const standing = (secret: string) => ({ secretId: bed.secrets.idOf(secret), step: 'promote', when: 'before' }) as const;

test('keyturn status of an environment in which nothing runs says so, and a misspelt one is refused', async () => {
  const { code, stdout } = await cli.run(['status', bed.environment]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(
      /^No fleet, backup or restore of \S+ is running\.[^]*No rotation is running\.\n$/,
    ) as string,
  });
  const unknown = await cli.run(['status', `${bed.environment}x`]);
  expect(unknown).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is no environment of the catalog') as string,
  });
  expect((await cli.run(['status', '--follow'])).code).toBe(2);
  expect(await cli.json(['status', bed.environment, '--follow'])).toMatchObject({
    code: 3,
    error: { type: 'NotRunning' },
  });
});

describe('while an environment is rotated', () => {
  beforeAll(async () => {
    await Promise.all(['unused', 'jwt'].map((secret) => bed.pauses.stopAt(standing(secret))));
    await fleetOf(bed).start({ types: ['app-secrets'], reason: 'yearly' });
    await until('one stands still', async () => {
      const status = await fleetOf(bed)
        .status()
        .catch(() => undefined);
      return status?.running.length === 1;
    });
  });

  test('keyturn status lists it with its progress, since when, by whom, and what to type', async () => {
    const { stdout } = await until('visibility knows it', async () => {
      const ended = await cli.run(['status']);
      return ended.stdout.includes('fleet') && ended.stdout.includes('rotating') && ended;
    });
    const line = new RegExp(
      `^${bed.environment} +fleet \\(app-secrets\\) +0 of 2 done, 1 running +\\d{4}-\\S+Z +tester$`,
      'm',
    );
    expect(stdout).toMatch(line);
    expect(stdout).toContain(`keyturn status ${bed.environment}`);
    const { result } = await cli.json<Status>(['status']);
    expect(result.environments).toMatchObject([
      { kind: 'fleet', environment: bed.environment, status: { total: 2, running: [{ type: 'app-secret' }] } },
    ]);
    expect(result.running).toHaveLength(1);
  });

  test('keyturn status of the environment shows what it does now, and how to follow and to stop it', async () => {
    const { code, stdout } = await cli.run(['status', bed.environment]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /: fleet \(app-secrets\) since \S+Z, started by tester \(yearly\)\nProgress: 0 of 2 done, 1 running\n/,
    );
    expect(stdout).toMatch(new RegExp(`▸ ${bed.environment}/(unused|jwt) since \\d`));
    expect(stdout).toContain(`keyturn status ${bed.environment} --follow`);
    expect(stdout).toContain(`keyturn abort ${bed.environment} --all`);
  });

  test('keyturn status of a secret says that its environment is being rotated', async () => {
    const secret = (await fleetOf(bed).status()).running[0]?.secret ?? '';
    const { stdout } = await cli.run(['status', bed.secrets.idOf(secret)]);
    expect(stdout).toContain(`${bed.environment} is being rotated as a whole since `);
    const { result } = await cli.json<{ fleet: EnvironmentRun }>(['status', bed.secrets.idOf(secret)]);
    expect(result.fleet).toMatchObject({ kind: 'fleet', status: { total: 2 } });
  });

  test('without a worker it is listed all the same, and why its progress is not known', async () => {
    await worker.kill('SIGKILL');
    const { code, stdout } = await cli.run(['status', bed.environment]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/: fleet since \S+Z\nHow far it is is not known: no worker is polling/) as string,
    });
    worker = await bed.startWorker();
  });

  test('keyturn status --follow of the environment waits for the report', async () => {
    const following = cli.start(['status', bed.environment, '--follow']);
    await until('it is followed', () => Promise.resolve(following.stderr().includes('1 running')));
    await Promise.all(['unused', 'jwt'].map((secret) => bed.pauses.goOn(standing(secret))));
    const { code, stdout } = await following.ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('2 secrets, 2 succeeded, 0 failed') as string,
    });
  });
});

test('keyturn status shows a backup that is under way', async () => {
  const point = { secretId: `${bed.environment}/*`, step: 'backUp', when: 'before' } as const;
  await bed.pauses.stopAt(point);
  const backup = await startBackup(bed);
  await bed.pauses.reached(point);
  const { stdout } = await cli.run(['status', bed.environment]);
  expect(stdout).toMatch(/: backup since \S+Z\nProgress: reading and encrypting the secrets\n/);
  expect(stdout).toContain(`temporal workflow describe --workflow-id backup/${bed.environment}`);
  await bed.pauses.goOn(point);
  await backup.result();
});
