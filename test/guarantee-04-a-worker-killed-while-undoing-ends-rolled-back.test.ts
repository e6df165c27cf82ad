import { killPoints, titleOf, undoneSteps } from './testbed/kill-points';
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

/** Compensations that change a login, and wait for it while somebody else does; one whose answer has not come. */
const DURING: KillPoint[] = [
  { kind: 'single-user', step: 'setPassword' },
  { kind: 'alternating-users', step: 'prepareLogin' },
  { kind: 'alternating-users', step: 'prepareLogin', afterOne: 'rotated' },
  { kind: 'api-key', step: 'createKey', request: 'DELETE /keys/:id' },
].map((point) => ({ ...point, when: 'during', undoing: true }) as KillPoint);

let bed: Testbed;
let survivors: Survived[];
beforeAll(async () => {
  // Long, because each rotation stands still until the last of them does.
  bed = await openTestbed({ stepTimeout: '10 minutes', rollbackTimeout: '10 minutes' });
  const points = [...(await Promise.all(KINDS.map(killPoints))).flat().filter(({ undoing }) => undoing), ...DURING];
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
  test.each(undoneSteps(kind).flatMap((step) => [`before undoing ${step}`, `after undoing ${step}`]))(
    '%s ends rolled back',
    async (instant) => {
      const [when, , step] = instant.split(' ') as ['before' | 'after', string, string];
      for (const survivor of survivorsOf(kind, step, when)) await expectRolledBack(survivor);
    },
  );
});

test.each(DURING.map((point) => [titleOf(point), point.step, point] as const))(
  '%s: a worker killed while the compensation of %s waits for its target ends rolled back',
  async (_title, _step, point) => {
    const found = survivors.filter(({ at }) => at === point);
    expect(found).toHaveLength(1);
    for (const survivor of found) await expectRolledBack(survivor);
  },
);

async function expectRolledBack({ subject, before, versionsBefore, ended, missed }: Survived): Promise<void> {
  if (missed) throw missed;
  expect(ended?.failure).toMatchObject({
    type: 'RotationRolledBack',
    details: { step: 'deliver', cause: { type: 'DependentUnhealthy' } },
  });
  const { secret } = subject;
  const { roles, ...after } = await subject.situation();
  const { roles: rolesBefore, ...expected } = before;
  expect(after).toEqual(expected);
  expect(await subject.opens()).toBe(true);

  const all = await bed.secrets.versionIds(secret);
  const candidates = all.filter((versionId) => !versionsBefore.includes(versionId));
  expect(candidates).toHaveLength(1);
  if (subject.kind === 'app-secret') return;
  expect(await subject.opens(candidates[0])).toBe(false);
  // A second login that was made for the candidate stays, without the right to log in.
  expect(usable(roles)).toEqual(usable(rolesBefore));
}

const usable = (roles: Record<string, unknown>[]) =>
  roles.filter(({ rolcanlogin }) => rolcanlogin).map(({ rolname }) => rolname);
