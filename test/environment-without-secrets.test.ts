import { stringify } from 'yaml';
import { createBackupPlace } from './testbed/backups';
import type { BackupPlace } from './testbed/backups';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { fleetOf } from './testbed/fleets';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

let bed: Testbed;
let place: BackupPlace;
let cli: Cli;

beforeAll(async () => {
  place = await createBackupPlace();
  bed = await openTestbed();
  const declared = {
    ...place.policy,
    review: 'off',
    schedules: { weeklyRun: 'never', ageCheck: 'never' },
    secrets: {},
  };
  await bed.writeCatalog(stringify({ environments: { [bed.environment]: declared } }));
  cli = createCli(bed);
  await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await bed.close();
  place.close();
});

test('an environment without secrets is planned and applied like any other', async () => {
  expect(await cli.run(['plan', bed.environment, '--check'])).toMatchObject({ code: 0, stderr: '' });
  expect(await cli.run(['apply', bed.environment])).toMatchObject({ code: 0, stderr: '' });
});

test('an environment without secrets has no ages, and none is overdue', async () => {
  expect(await cli.run(['ages', bed.environment])).toMatchObject({
    code: 0,
    stdout: `There is no secret below ${bed.environment}/, and the catalog declares none.\n`,
  });
});

test('who wants to rotate an environment without secrets is told that there is none', async () => {
  expect(await cli.run(['rotate', bed.environment, '--all'])).toEqual({
    code: 2,
    stdout: '',
    stderr: `Error: The environment '${bed.environment}' has no secret in the catalog.\n`,
  });
});

test('the weekly run of an environment without secrets finds nothing due, and ends well', async () => {
  expect(await fleetOf(bed).rotate({ due: true })).toMatchObject({ total: 0, succeeded: 0, failed: 0, notStarted: 0 });
});

test('no empty backup is stored of an environment without secrets', async () => {
  expect(await cli.run(['backup', bed.environment])).toMatchObject({ code: 1, stdout: '' });
  expect(await place.objects()).toEqual([]);
});
