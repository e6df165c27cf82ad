import { DeleteSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { escapeIdentifier } from 'pg';
import type { RefusedDetails } from '../src/rotation/errors';
import { keyDocument } from './testbed/api-keys';
import { startDependent } from './testbed/dependent';
import type { TestDependent } from './testbed/dependent';
import type { FakeKeyService } from './testbed/fake-key-service';
import { createSubject, KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { failureOf, openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { auditOf, statusOf } from './testbed/watching';

let bed: Testbed;
let dependent: TestDependent;
beforeAll(async () => {
  bed = await openTestbed({ stepTimeout: '3 seconds' });
  dependent = await startDependent('shop');
  await bed.startWorker();
});
afterAll(async () => {
  await dependent.stop();
  await bed.close();
});

const dry = (secret: string) => bed.rotate(secret, { dryRun: true });

/** The activities that change nothing. */
const LOOKS = ['loadPlan', 'inspectSecret', 'confirmCurrentLogin', 'inspectKeys', 'confirmCurrentKey', 'recordOutcome'];

/** Secrets of a kind that differ in what there is to do. */
const VARIANTS: [string, Kind, Record<string, unknown>][] = [
  ...KINDS.map((kind): [string, Kind, Record<string, unknown>] => [`type ${kind}`, kind, {}]),
  ...KINDS.map((kind): [string, Kind, Record<string, unknown>] => [
    `type ${kind} with a dependent`,
    kind,
    { dependents: 1 },
  ]),
  ['a pair of logins with a grace period', 'alternating-users', { gracePeriod: '1 second' }],
  ['a key without a grace period', 'api-key', { gracePeriod: '0 seconds' }],
  ['a key whose use is not asked for', 'api-key', { quietPeriod: '0 seconds' }],
  ['a secret that a terminated rotation left a candidate of', 'single-user', { stale: true }],
];

test.each(VARIANTS)(
  'a dry run for %s says exactly what the rotation then does, and touches nothing',
  async (name, kind, variant) => {
    const { stale, dependents, ...declaration } = variant;
    const subject = await createSubject(bed, kind, name.replace(/\W/g, '-'), {
      ...declaration,
      ...(dependents !== undefined && { dependents: [dependent.declaration] }),
    });
    if (stale) await bed.secrets.putPending(subject.secret, await bed.secrets.value(subject.secret));
    const before = await subject.situation();
    const versions = await bed.secrets.versionIds(subject.secret);
    const asked = dependent.asked;

    const rehearsed = await dry(subject.secret);
    expect(rehearsed).toMatchObject({
      outcome: 'dry-run',
      versions: { current: before.labels.current },
      requestedBy: 'tester',
    });
    expect(await subject.situation()).toEqual(before);
    expect((await bed.secrets.versionIds(subject.secret)).sort()).toEqual(versions.sort());
    expect(dependent.asked).toBe(asked);
    expect(await subject.opens()).toBe(true);
    const done = new Set((await auditOf(bed.secrets.idOf(subject.secret))).map(({ what }) => what));
    expect([...done].filter((what) => !LOOKS.includes(what))).toEqual([]);

    const { outcome, steps } = await bed.rotate(subject.secret);
    expect(outcome).toBe('rotated');
    expect(rehearsed.steps).toEqual(steps);
  },
);

test('a dry run says what is skipped and what lies ahead in its status, and shows no candidate', async () => {
  const { secret } = await createSubject(bed, 'single-user', 'status');
  const handle = await bed.start(secret, { dryRun: true });
  await handle.result();
  const { phase, outcome, versions, steps } = await statusOf(handle);
  expect({ phase, outcome }).toEqual({ phase: 'finished', outcome: 'dry-run' });
  expect(versions).toEqual({ current: (await bed.secrets.labels(secret)).current });
  expect(steps.map(({ name, state }) => [name, state])).toEqual([
    ['loadPlan', 'done'],
    ['inspectSecret', 'done'],
    ['backUp', 'skipped'],
    ['settleLeftovers', 'skipped'],
    ['confirmCurrentLogin', 'done'],
    ['lookAtDependents', 'skipped'],
    ['createCandidate', 'pending'],
    ['setPassword', 'pending'],
    ['loginWithCandidate', 'pending'],
    ['promote', 'pending'],
    ['deliver', 'skipped'],
    ['verifyAsApplication', 'pending'],
    ['proveOldPasswordRefused', 'pending'],
    ['endEarlierSessions', 'skipped'],
  ]);
});

test('a dry run for an API key tells what is at the provider, and says of an emergency that it has no grace period', async () => {
  const { secret, service } = await createSubject(bed, 'api-key', 'key-status', { gracePeriod: '2 days' });
  const handle = await bed.start(secret, { dryRun: true });
  await handle.result();
  const { keys, steps } = await statusOf(handle);
  const [{ id } = {}] = service?.keys() ?? [];
  expect(keys).toEqual({ old: id });
  expect(steps.map(({ name, state }) => [name, state])).toEqual([
    ['loadPlan', 'done'],
    ['inspectSecret', 'done'],
    ['findLeftovers', 'done'],
    ['confirmCurrentKey', 'done'],
    ['lookAtDependents', 'skipped'],
    ['backUp', 'skipped'],
    ['settleLeftovers', 'skipped'],
    ['prepareSecondary', 'pending'],
    ['createKey', 'pending'],
    ['verifyKey', 'pending'],
    ['storeSecondary', 'pending'],
    ['deliverSecondary', 'skipped'],
    ['gracePeriod', 'pending'],
    ['stageCandidate', 'pending'],
    ['promote', 'pending'],
    ['deliver', 'skipped'],
    ['verifyInUse', 'pending'],
    ['waitForQuiet', 'pending'],
    ['verifyBeforeRetiring', 'pending'],
    ['deactivateKey', 'pending'],
    ['deleteKey', 'pending'],
    ['waitForExpiry', 'skipped'],
    ['proveOldKeyRefused', 'pending'],
    ['removeSecondary', 'pending'],
  ]);
});

test('a dry run for a leaked key that is revoked already says what an emergency does, and asks for no key', async () => {
  const { secret, service } = await createSubject(bed, 'api-key', 'leaked');
  service?.remove(service.keys()[0]?.id ?? '');
  const { steps } = await bed.rotate(secret, { dryRun: true, emergency: true });
  const names = steps.map(({ name }) => name);
  for (const left of ['confirmCurrentKey', 'gracePeriod', 'waitForQuiet']) expect(names).not.toContain(left);
  expect(service?.requests('POST /keys')).toBe(0);
  expect(steps).toEqual((await bed.rotate(secret, { emergency: true })).steps);
});

test('a dry run for an application secret that does not exist says that it would be created, and does not create it', async () => {
  await bed.declare({ missing: { type: 'app-secret' } });
  const rehearsed = await dry('missing');
  expect(rehearsed).toMatchObject({ outcome: 'dry-run', versions: {} });
  expect(rehearsed.steps).toContainEqual({
    name: 'createCandidate',
    summary: `create ${bed.secrets.idOf('missing')}, which does not exist yet`,
  });
  await expect(bed.secrets.labels('missing')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  expect(rehearsed.steps).toEqual((await bed.rotate('missing')).steps);
});

test('a dry run says how long the grace period would be, and that an emergency has none', async () => {
  const { secret } = await createSubject(bed, 'alternating-users', 'grace', { gracePeriod: '2 days' });
  const summaries = (await dry(secret)).steps.map(({ summary }) => summary);
  expect(summaries).toContain('let both logins work for 2 d');
  expect(summaries).toContain('lock the old login');
  const emergency = await bed.rotate(secret, { dryRun: true, emergency: true });
  expect(emergency.steps.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['endEarlierSessions', 'lockOldLogin', 'endOldSessions']),
  );
  expect(emergency.steps.map(({ name }) => name)).not.toContain('gracePeriod');
});

describe('a dry run refuses what the rotation itself would refuse', () => {
  /** Makes a secret that cannot be rotated. */
  const CASES: [string, (secret: string) => Promise<unknown>][] = [
    ['a secret that the catalog does not name', () => Promise.resolve()],
    ['a database secret that does not exist', (secret) => declareDatabase(secret)],
    [
      'a database secret that is not JSON',
      async (secret) => {
        await bed.secrets.create(secret, 'not JSON');
        await declareDatabase(secret);
      },
    ],
    [
      'a current password that no longer opens the database',
      async (secret) => {
        const { username } = await bed.databases.singleUser(secret);
        await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} PASSWORD 'changed-by-hand'`);
      },
    ],
    [
      'a login that may not log in',
      async (secret) => {
        const { username } = await bed.databases.singleUser(secret);
        await bed.databases.asSuperuser(`ALTER ROLE ${escapeIdentifier(username)} NOLOGIN`);
      },
    ],
    ['a key that the provider refuses', (secret) => keyThat(secret, (service, id) => deactivated(service, id))],
    ["a key that is not among the provider's", (secret) => keyThat(secret, (service, id) => service.remove(id))],
    [
      'an API key secret without a key in it',
      async (secret) => {
        const { service } = await createSubject(bed, 'api-key', secret);
        await bed.secretsManager.send(
          new PutSecretValueCommand({
            SecretId: bed.secrets.idOf(secret),
            SecretString: JSON.stringify({ endpoint: service?.url }),
          }),
        );
      },
    ],
    ['a database that is down', (secret) => bed.databases.singleUser(secret, { fields: { port: 1 } })],
    [
      'a secret that is scheduled for deletion',
      async (secret) => {
        await bed.secrets.create(secret, 'about-to-be-deleted');
        await bed.declare({ [secret]: { type: 'app-secret' } });
        await bed.secretsManager.send(new DeleteSecretCommand({ SecretId: bed.secrets.idOf(secret) }));
      },
    ],
  ];
  async function keyThat(secret: string, act: (service: FakeKeyService, id: string) => unknown): Promise<void> {
    const { service } = await createSubject(bed, 'api-key', secret);
    const { keyId = '' } = (await keyDocument(bed, secret)) ?? {};
    if (service) await act(service, keyId);
  }
  const deactivated = ({ url, adminToken }: FakeKeyService, id: string) =>
    fetch(`${url}/keys/${id}/deactivate`, { method: 'POST', headers: { Authorization: `Bearer ${adminToken}` } });
  const declareDatabase = (secret: string) => bed.declare({ [secret]: { type: 'database', strategy: 'single-user' } });

  test.each(CASES)('%s', async (name, prepare) => {
    const secret = `refused/${name.replaceAll(' ', '-')}`;
    await prepare(secret);
    const { type, details } = await failureOf(dry(secret));
    const { step, cause } = details as RefusedDetails;
    expect(type).toBe('RotationRefused');
    expect(await failureOf(bed.rotate(secret))).toMatchObject({ type, details: { step, cause: { type: cause.type } } });
  });
});
