import type { RotationStatus } from '../src/rotation/types';
import { createApiKey, keyDocument } from './testbed/api-keys';
import { createCli } from './testbed/cli-process';
import type { Cli } from './testbed/cli-process';
import { checkNamed } from './testbed/doctor-checks';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const DAY_MS = 86_400_000;

let bed: Testbed;
let cli: Cli;
let service: FakeKeyService;

beforeAll(async () => {
  bed = await openTestbed();
  cli = createCli(bed);
  service = await startFakeKeyService({ maxKeys: 20 });
  bed.alsoSecret(() => service.everyValue());
  await bed.startWorker();
});
afterAll(async () => {
  await cli.stop();
  await service.stop();
  await bed.close();
});

const id = (secret: string) => bed.secrets.idOf(secret);
const handleOf = (secret: string) => bed.client.workflow.getHandle(`rotation/${id(secret)}`);
const statusOf = (secret: string) => handleOf(secret).query<RotationStatus>('status');

async function rotationInGracePeriod(secret: string) {
  const old = await createApiKey(bed, service, secret, { gracePeriod: '1 hour' });
  const { code, stderr } = await cli.run(['rotate', id(secret), '--detach']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await until(`${secret} is in its grace period`, async () => (await statusOf(secret)).phase === 'grace-period');
  const created = (await statusOf(secret)).keys?.new ?? '';
  return { old, created };
}

test('of all keys of an environment none waits for the grace period of another', async () => {
  for (const secret of ['first', 'second']) await createApiKey(bed, service, secret, { gracePeriod: '1 hour' });
  const fleet = cli.start(['rotate', bed.environment, '--all', '--type', 'api-key', '--concurrency', '1']);
  const { code, stdout } = await fleet.ended;
  expect(code).toBe(0);
  for (const secret of ['first', 'second']) expect(stdout).toContain(`${id(secret)}: in-grace-period until `);
  for (const secret of ['first', 'second']) {
    expect(await cli.run(['abort', id(secret)])).toMatchObject({ code: 0 });
    expect(await handleOf(secret).result()).toMatchObject({ outcome: 'aborted' });
  }
});

test('a grace period is shown, steered and ended by its commands', async () => {
  const { old, created } = await rotationInGracePeriod('steered');
  const { stdout } = await cli.run(['status', id('steered')]);
  expect(stdout).toMatch(/^Grace period until \S+Z \(5\d min( \d+ s)? left\)$/m);
  expect(stdout).toContain(`\nPhase-in: the new key gets 0 % of use\nKeys: old ${old.id}, new ${created}\n`);

  const phaseIn = await cli.run(['phase-in', id('steered'), '50', '--reason', 'half of the shop']);
  expect(phaseIn).toMatchObject({ code: 0, stderr: '' });
  expect(phaseIn.stdout).toContain(`${id('steered')}: the new key's share is 50 % now`);
  await until(
    'applications are told',
    async () => (await keyDocument(bed, 'steered-secondary'))?.phaseInPercent === 50,
  );

  const before = (await statusOf('steered')).graceEndsAt ?? '';
  const extended = await cli.json<{ graceEndsAt: string }>(['extend', id('steered'), '--by', '3 days']);
  expect(Date.parse(extended.result.graceEndsAt) - Date.parse(before)).toBe(3 * DAY_MS);

  const later = await cli.run(['status', id('steered')]);
  expect(later.stdout).toContain('\nPhase-in: the new key gets 50 % of use\n');
  expect(later.stdout).toMatch(/^\S+Z setPhaseIn 50 % by tester \(half of the shop\)$/m);
  expect(later.stdout).toMatch(/^\S+Z extendGracePeriod by 3 days by tester$/m);

  expect(await cli.run(['end-grace', id('steered')])).toMatchObject({ code: 0 });
  expect(await handleOf('steered').result()).toMatchObject({ outcome: 'rotated' });
  expect(await keyDocument(bed, 'steered')).toMatchObject({ keyId: created, endpoint: service.url });
  expect(service.keys().map((key) => key.id)).not.toContain(old.id);
  const over = await cli.json(['phase-in', id('steered'), '60']);
  expect(over).toMatchObject({ code: 3, error: { type: 'NotRunning' } });
});

test('an abort leaves the old key as it was, and the new one nowhere', async () => {
  const { old, created } = await rotationInGracePeriod('undone');
  expect(await cli.run(['abort', id('undone'), '--reason', 'not now'])).toMatchObject({ code: 0 });
  expect(await handleOf('undone').result()).toMatchObject({ outcome: 'aborted' });
  expect(await keyDocument(bed, 'undone')).toMatchObject({ keyId: old.id });
  const keys = service.keys().map((key) => key.id);
  expect(keys).toContain(old.id);
  expect(keys).not.toContain(created);
});

test('a share that is not a whole number from 0 to 100 ends with 2 and changes nothing', async () => {
  for (const percent of ['101', '12.5', 'half', '1e2', '50%']) {
    const { code, stderr } = await cli.run(['phase-in', id('steered'), percent]);
    expect({ percent, code }).toEqual({ percent, code: 2 });
    expect(stderr).toContain('Expected a whole number from 0 to 100.');
  }
});

test('the doctor sees the two keys of a rotation that runs, and what a terminated one left', async () => {
  const { old, created } = await rotationInGracePeriod('examined');
  expect(await checkNamed(cli, `key of ${id('examined')}`)).toMatchObject({
    state: 'ok',
    found: `the current key ${old.id} is accepted`,
  });
  expect(await checkNamed(cli, `secondary of ${id('examined')}`)).toMatchObject({
    state: 'ok',
    found: expect.stringContaining(`belongs to the rotation that runs with the key ${created}; grace period until`),
  });
  await handleOf('examined').terminate('for the doctor');
  expect(await checkNamed(cli, `secondary of ${id('examined')}`)).toMatchObject({
    state: 'warning',
    found: `${id('examined')}-secondary is left over with the key ${created}: no rotation runs that needs it`,
  });
  service.remove(old.id);
  expect(await checkNamed(cli, `key of ${id('examined')}`)).toMatchObject({
    state: 'failed',
    found: `the current key ${old.id} is refused`,
  });
});

test('a rotation whose provider allows no further key ends with 1, says so, and what to do', async () => {
  const full = await startFakeKeyService({ maxKeys: 1 });
  bed.alsoSecret(() => full.everyValue());
  try {
    const old = await createApiKey(bed, full, 'full');
    const { code, stdout, stderr } = await cli.run(['rotate', id('full')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const error = stderr.slice(stderr.indexOf('Error: '));
    expect(error).toMatch(/^Error: \S+\/full was not rotated, and what was done is undone\. createKey failed: /);
    expect(error).toContain(`See its keys:      keyturn doctor\nThen rotate again: keyturn rotate ${id('full')}\n`);
    expect(full.keys().map((key) => key.id)).toEqual([old.id]);
  } finally {
    await full.stop();
  }
});
