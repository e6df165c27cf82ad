import { killPoints, stepsOf, titleOf } from './testbed/kill-points';
import type { KillPoint, When } from './testbed/kill-points';
import { killWorkersUnder, startWorkersFor } from './testbed/kill-workers';
import type { Survived } from './testbed/kill-workers';
import { prepareKilledRotation } from './testbed/killed-rotation';
import { KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

// Here steps say what they do outside of any workflow, where no run has noted its changes; the workers are processes of their own.
jest.mock('../src/workflows/changes', () => ({ isInForce: () => true }));

/** Statements that change a login, and wait for it while somebody else does; requests whose answer has not come. */
const DURING: KillPoint[] = [
  { kind: 'single-user', step: 'settleLeftovers', afterOne: 'terminated' },
  { kind: 'single-user', step: 'setPassword' },
  { kind: 'alternating-users', step: 'prepareLogin' },
  { kind: 'alternating-users', step: 'prepareLogin', afterOne: 'rotated' },
  { kind: 'alternating-users', step: 'lockOldLogin' },
  { kind: 'api-key', step: 'settleLeftovers', afterOne: 'terminated', request: 'DELETE /keys/:id' },
  { kind: 'api-key', step: 'createKey', request: 'POST /keys' },
  { kind: 'api-key', step: 'createKey', afterOne: 'rotated', request: 'POST /keys' },
  { kind: 'api-key', step: 'deactivateKey', request: 'POST /keys/:id/deactivate' },
  { kind: 'api-key', step: 'deleteKey', request: 'DELETE /keys/:id' },
].map((point) => ({ ...point, when: 'during', undoing: false }) as KillPoint);

const ANYWHERE_PER_KIND = 5;
const ANYWHERE = KINDS.flatMap((kind) =>
  Array.from({ length: ANYWHERE_PER_KIND }, (): KillPoint => ({ kind, step: 'any', when: 'anywhere', undoing: false })),
);

let bed: Testbed;
let survivors: Survived[];
beforeAll(async () => {
  // Long, because each rotation stands still until the last of them does.
  bed = await openTestbed({ stepTimeout: '10 minutes', rollbackTimeout: '10 minutes' });
  const points = [
    ...(await Promise.all(KINDS.map(killPoints))).flat().filter(({ undoing }) => !undoing),
    ...DURING,
    ...ANYWHERE,
  ];
  const workers = await startWorkersFor(bed, points.length);
  survivors = await Promise.all(
    points.map((point, n) => prepareKilledRotation(bed, point, `${point.step.toLowerCase()}-${n}`)),
  );
  await killWorkersUnder(bed, workers, survivors);
}, 600_000);
afterAll(() => bed.close());

function survivorsOf(kind: Kind, step: string, when: When): Survived[] {
  const found = survivors.filter(({ at }) => at.kind === kind && at.step === step && at.when === when);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

describe.each(KINDS)('%s: a worker killed', (kind) => {
  test.each(stepsOf(kind).flatMap((step) => [`before ${step}`, `after ${step}`]))(
    '%s ends rotated',
    async (instant) => {
      const [when, step] = instant.split(' ') as ['before' | 'after', string];
      for (const survivor of survivorsOf(kind, step, when)) await expectRotated(survivor);
    },
  );
});

test.each(DURING.map((point) => [titleOf(point), point.step, point] as const))(
  '%s: a worker killed while %s waits for its target ends rotated',
  async (_title, _step, point) => {
    const found = survivors.filter(({ at }) => at === point);
    expect(found).toHaveLength(1);
    for (const survivor of found) await expectRotated(survivor);
  },
);

test.each(KINDS)('%s: workers killed wherever their rotations happen to be end them rotated', async (kind) => {
  const found = survivorsOf(kind, 'any', 'anywhere');
  expect(found).toHaveLength(ANYWHERE_PER_KIND);
  for (const survivor of found) await expectRotated(survivor);
});

async function expectRotated({ at, subject, before, versionsBefore, asked, ended, missed }: Survived): Promise<void> {
  if (missed) throw missed;
  expect(ended).toMatchObject({ result: { outcome: 'rotated', versions: { previous: before.labels.current } } });
  const { secret } = subject;
  const { current = '', previous = '' } = ended?.result?.versions ?? {};
  expect(await bed.secrets.labels(secret)).toEqual({ current, previous });
  expect(await subject.opens()).toBe(true);
  expect(await bed.secrets.value(secret)).not.toBe(before.versions[previous]);
  expect(asked()).toBeGreaterThan(0);

  // What was terminated had stored a candidate; an API key is stored there only when its grace period is over.
  const terminated = at.afterOne === 'terminated' && at.kind !== 'api-key' ? 1 : 0;
  expect(await bed.secrets.versionIds(secret)).toHaveLength(versionsBefore.length + terminated + 1);

  if (subject.kind === 'app-secret') return;
  expect(await subject.opens(previous)).toBe(false);
  const { roles, keys, secondary } = await subject.situation();
  const inUse = JSON.parse(await bed.secrets.value(secret)) as { username?: string; keyId?: string };
  expect(roles.map(({ rolname, rolcanlogin }) => [rolname, rolcanlogin])).toEqual(
    subject.logins.toSorted().map((login) => [login, login === inUse.username]),
  );
  expect(keys).toEqual(subject.service ? [{ id: inUse.keyId, active: true, accepted: true }] : []);
  expect(secondary).toBeUndefined();
}
