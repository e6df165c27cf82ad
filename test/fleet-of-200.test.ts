import type { FleetReport } from '../src/rotation/fleet';
import type { WorkerProcess } from './lab/worker-process';
import { createApiKey } from './testbed/api-keys';
import { startFakeKeyService } from './testbed/fake-key-service';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import { fleetOf } from './testbed/fleets';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const DATABASES = 20;
const KEYS = 6;
const APP_SECRETS = 173;
/** Every so many app secrets have a workload that does not take a new version: seven of them, never several in a row. */
const BROKEN_EVERY = 24;
/** The databases with such a workload, whose passwords are set back: with seven app secrets ten broken ones. */
const BROKEN_DATABASES = [3, 9, 15];

let bed: Testbed;
const everything: string[] = [];
const broken: string[] = [];
/** AWSCURRENT of each at the beginning. */
const before: Record<string, string> = {};

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${name}-${String(n).padStart(3, '0')}`);

beforeAll(async () => {
  bed = await openTestbed({ fleet: { concurrency: 12 } });
  const declarations: Parameters<Testbed['declare']>[0] = {};
  await bed.secrets.create('unused', 'first-value-of-unused');
  for (const [n, name] of numbered('app', APP_SECRETS).entries()) {
    await bed.secrets.create(name, `first-value-of-${name}`);
    declarations[name] = { type: 'app-secret' };
    if (n % BROKEN_EVERY !== BROKEN_EVERY - 1) continue;
    declarations[name] = { type: 'app-secret', dependents: [await dependentThatTakesNoNewVersion(name)] };
  }
  await bed.declare(declarations);
  for (const [n, name] of numbered('database', DATABASES).entries()) {
    const isBroken = BROKEN_DATABASES.includes(n);
    const declaration = isBroken ? { dependents: [await dependentThatTakesNoNewVersion(name)] } : {};
    await bed.databases.singleUser(name, { declaration });
  }
  const service = await startFakeKeyService({ maxKeys: 2 * KEYS });
  bed.alsoSecret(() => service.everyValue());
  bed.alsoStop(service);
  for (const name of numbered('key', KEYS)) await createApiKey(bed, service, name, { gracePeriod: '0 seconds' });
  everything.push(
    ...['unused', ...numbered('app', APP_SECRETS), ...numbered('database', DATABASES), ...numbered('key', KEYS)],
  );
  for (const name of everything) before[name] = (await bed.secrets.labels(name)).current ?? '';
}, 240_000);
afterAll(() => bed.close(), 120_000);

async function dependentThatTakesNoNewVersion(name: string): Promise<TestDependent['declaration']> {
  const dependent = await startDependent(`consumer of ${name}`, '2 seconds');
  bed.alsoStop(dependent);
  dependent.answer(async () => ((await bed.secrets.labels(name)).current === before[name] ? 200 : 503));
  broken.push(name);
  return dependent.declaration;
}

test('of 200 secrets with 10 broken targets 190 are rotated and 10 rolled back, though the worker is killed three times on the way and another fleet is started', async () => {
  const fleet = fleetOf(bed);
  let worker: WorkerProcess = await bed.startWorker();
  const handle = await fleet.start({ reason: 'yearly' });
  const another = await failureOf(fleet.start({}, `another-${bed.environment}`).then((started) => started.result()));
  expect(another).toMatchObject({ type: 'RotationRefused', details: { cause: { type: 'AlreadyRunning' } } });
  for (const settled of [30, 80, 130]) {
    await until(`${settled} are settled`, async () => {
      const { succeeded, failed } = await fleet.status();
      return succeeded + failed >= settled;
    });
    await worker.kill('SIGKILL');
    worker = await bed.startWorker();
  }
  const report = (await handle.result()) as FleetReport;

  expect(report).toMatchObject({ total: 200, succeeded: 190, failed: 10, skipped: 0, notStarted: 0 });
  const failed = report.secrets
    .filter(({ outcome }) => outcome !== 'rotated')
    .sort((one, other) => (one.secret < other.secret ? -1 : 1));
  expect(failed.map(({ secret, outcome, cause }) => ({ secret, outcome, cause: cause?.type }))).toEqual(
    broken.sort().map((secret) => ({ secret, outcome: 'rolled-back', cause: 'DependentUnhealthy' })),
  );
  for (const name of everything) {
    const { current, previous, pending } = await bed.secrets.labels(name);
    const isBroken = broken.includes(name);
    const changed = isBroken ? current !== before[name] : current === before[name] || previous !== before[name];
    expect({ name, changed, pending }).toEqual({ name, changed: false, pending: undefined });
  }
  for (const name of numbered('database', DATABASES)) expect(await bed.databases.opens(name)).toBe(true);
}, 300_000);
