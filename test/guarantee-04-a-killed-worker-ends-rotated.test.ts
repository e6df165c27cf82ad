import { killPoints, stepsOf, titleOf } from './testbed/kill-points';
import type { KillPoint, When } from './testbed/kill-points';
import { killWorkersUnder } from './testbed/kill-workers';
import type { Survived } from './testbed/kill-workers';
import { prepareKilledRotation } from './testbed/killed-rotation';
import { KINDS } from './testbed/subjects';
import type { Kind } from './testbed/subjects';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';

/** Statements that change a login, and wait for it while somebody else does. */
const DURING: KillPoint[] = [
  { kind: 'single-user', step: 'settleLeftovers', afterOne: 'terminated' },
  { kind: 'single-user', step: 'setPassword' },
  { kind: 'alternating-users', step: 'prepareLogin' },
  { kind: 'alternating-users', step: 'prepareLogin', afterOne: 'rotated' },
  { kind: 'alternating-users', step: 'lockOldLogin' },
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
  // Together they hold more activities still than one worker takes on.
  const workers = await Promise.all([bed.startWorker(), bed.startWorker()]);
  const points = [
    ...(await Promise.all(KINDS.map(killPoints))).flat().filter(({ undoing }) => !undoing),
    ...DURING,
    ...ANYWHERE,
  ];
  survivors = await Promise.all(
    points.map((point, n) => prepareKilledRotation(bed, point, `${point.step.toLowerCase()}-${n}`)),
  );
  await killWorkersUnder(bed, workers, survivors);
}, 180_000);
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
  '%s: a worker killed while %s alters the login ends rotated',
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

  const terminated = at.afterOne === 'terminated' ? 1 : 0;
  expect(await bed.secrets.versionIds(secret)).toHaveLength(versionsBefore.length + terminated + 1);

  if (subject.kind === 'app-secret') return;
  expect(await bed.databases.opens(secret, { versionId: previous })).toBe(false);
  const inUse = (JSON.parse(await bed.secrets.value(secret)) as { username: string }).username;
  const { roles } = await subject.situation();
  expect(roles.map(({ rolname, rolcanlogin }) => [rolname, rolcanlogin])).toEqual(
    subject.logins.toSorted().map((login) => [login, login === inUse]),
  );
}
