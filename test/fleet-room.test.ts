import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { referencesOf } from '../src/activities/fleet/references';
import { loadCatalog } from '../src/catalog';
import type { FleetEntry, FleetInput, FleetSecret } from '../src/rotation/fleet';
import { bytesOf, fitted, ROOM_BYTES } from '../src/rotation/fleet-room';
import { abbreviated, startable } from '../src/rotation/fleet-schedule';
import type { RotationPlan } from '../src/rotation/plan';
import { handedOn, hasRoom, newProgress, reportOf } from '../src/workflows/fleet/progress';
import type { FleetProgress } from '../src/workflows/fleet/progress';

const ENVIRONMENT = 'production';
const INPUT: FleetInput = { environment: ENVIRONMENT };
/** Temporal's own limit. */
const PAYLOAD_BYTES = 2 * 1_024 * 1_024;
const SERVERS = 40;

const nameOf = (n: number) => `database/order-service-${String(n).padStart(5, '0')}`;

/** Alternating users on RDS, each with a workload of its own, and a group and an administrator for each server. */
async function databasesOnRds(count: number): Promise<FleetSecret[]> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-room-'));
  const file = join(folder, 'keyturn.yaml');
  const secret = {
    type: 'database',
    strategy: 'alternating-users',
    groupRole: 'order_service_owner',
    adminSecret: 'database/administrator',
    dependents: [{ http: { name: 'shop', healthUrl: 'https://shop.internal/health' } }],
  };
  try {
    await writeFile(file, stringify({ environments: { [ENVIRONMENT]: { secrets: { [nameOf(0)]: secret } } } }));
    const plan = (await loadCatalog(file)).plan(ENVIRONMENT, nameOf(0));
    return Array.from({ length: count }, (_, n): FleetSecret => {
      const server = `orders-${n % SERVERS}.cluster-c9akciq32rtx.eu-central-1.rds.amazonaws.com:5432`;
      const username = `order_service_${n}`;
      const logins: [string, string] = [username, `${username}_clone`];
      const secretId = `${ENVIRONMENT}/${nameOf(n)}`;
      const adminSecretId = `${ENVIRONMENT}/admin-${n % SERVERS}`;
      const dependents = plan.dependents.map((shop) => ({ ...shop, healthUrl: `https://shop-${n}.internal/health` }));
      const own = { ...plan, secretId, logins, adminSecretId, dependents } as RotationPlan;
      const references = referencesOf(own, { server, username });
      return { secret: nameOf(n), type: 'database', ...references, restarts: 1, changedAt: 1_790_000_000_000 + n };
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const waitingFor = (secrets: FleetSecret[]): FleetProgress => ({
  ...newProgress('2030-01-07T02:00:00.000Z'),
  waiting: abbreviated(secrets),
});

/** As a rotation that failed in the longest words leaves it. */
const failed = (n: number): FleetEntry => ({
  secret: nameOf(n),
  type: 'database',
  outcome: 'rollback-incomplete',
  workflowId: `rotation/${ENVIRONMENT}/${nameOf(n)}`,
  runId: '0199e9a4-7f3c-7d3a-9a52-8f3f0b1c2d3e',
  cause: { type: 'CurrentCredentialRefused', message: 'ü'.repeat(300) },
});

test('a database credential that waits takes 200 bytes of a fleet, whatever its server is called', async () => {
  const secrets = await databasesOnRds(1_000);
  expect(bytesOf(secrets) / 1_000).toBeGreaterThan(450);
  expect(bytesOf(abbreviated(secrets)) / 1_000).toBeLessThan(230);
});

test('8,000 credentials of RDS databases wait in one payload, and have one report whatever becomes of them', async () => {
  const secrets = await databasesOnRds(8_000);
  const waiting = waitingFor(secrets);
  expect(hasRoom(waiting)).toBe(true);
  for (const done of [0, 2_000, 4_000, 6_000, 8_000]) {
    const settled = secrets.slice(0, done).map((_, n) => failed(n));
    const progress = { ...waiting, waiting: waiting.waiting.slice(done), settled };
    expect(bytesOf(handedOn(progress))).toBeLessThan(PAYLOAD_BYTES);
    expect(handedOn(progress).settled).toHaveLength(done);
  }
  const report = reportOf(INPUT, { ...waiting, waiting: [], settled: secrets.map((_, n) => failed(n)) }, '');
  expect(bytesOf(report)).toBeLessThan(PAYLOAD_BYTES);
  expect(report).toMatchObject({ total: 8_000, failed: 8_000 });
  expect(report.notes).toEqual([expect.stringContaining('no room for more') as string]);
  expect(report.secrets[7_999]).toMatchObject({
    secret: nameOf(7_999),
    outcome: 'rollback-incomplete',
    cause: { type: 'CurrentCredentialRefused', message: expect.stringMatching(/^ü+…$/) as string },
  });
});

test('more than one payload holds are too many to begin with', async () => {
  expect(hasRoom(waitingFor(await databasesOnRds(12_000)))).toBe(false);
});

test('a report that fits is left as it is', () => {
  const entries = Array.from({ length: 1_000 }, (_, n) => failed(n));
  expect(fitted(entries, ROOM_BYTES)).toEqual(entries);
  const report = reportOf(INPUT, { ...newProgress(''), settled: entries }, '');
  expect(report.secrets).toEqual(entries);
  expect(report.notes).toBeUndefined();
});

test('what was in the way is not handed on once it is settled', () => {
  const obstruction = { since: 0, what: 'rotateAppSecret runs', lookAt: 0, pauseMs: 0 };
  const [waits] = abbreviated([{ secret: 'b', type: 'app-secret', alone: [], uses: [], restarts: 0 }]);
  const progress = {
    ...newProgress(''),
    inTheWay: waits ? [waits] : [],
    obstructions: { a: obstruction, b: obstruction },
    settled: [{ secret: 'a', type: 'app-secret' as const, outcome: 'rotated' as const }],
  };
  expect(Object.keys(handedOn(progress).obstructions)).toEqual(['b']);
});

test('short names keep apart what the long ones do', async () => {
  const secrets = (await databasesOnRds(300)).map((secret, n) => ({
    ...secret,
    // Some change what others use.
    alone: n % 7 === 0 ? [...secret.alone, ...secret.uses] : secret.alone,
    uses: n % 7 === 0 ? [] : secret.uses,
  }));
  const policy = { concurrency: 100, perTarget: 100, maxRestartsAtOnce: 100, stopAfterFailures: 5 };
  const chosen = (all: FleetSecret[]) => startable(all, [], policy).map(({ secret }) => secret);
  const short = chosen(abbreviated(secrets));
  // One for each group role.
  expect(short.length).toBeGreaterThan(20);
  expect(short.length).toBeLessThanOrEqual(SERVERS);
  expect(short).toEqual(chosen(secrets));
});
