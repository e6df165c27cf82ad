import { openEcsServices } from './testbed/ecs-services';
import type { EcsServices } from './testbed/ecs-services';
import type { KillPoint } from './testbed/kill-points';
import { killWorkersUnder, startWorkersFor } from './testbed/kill-workers';
import type { Survived } from './testbed/kill-workers';
import { prepareKilledRotation } from './testbed/killed-rotation';
import { startScriptedEcs } from './testbed/scripted-ecs';
import type { ScriptedEcs } from './testbed/scripted-ecs';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

const CLUSTER = 'killed';
/** By turns: what is done to the database makes no difference to the delivery, but both ends have to agree with it. */
const KINDS = ['single-user', 'alternating-users'] as const;

/** `during`: the new tasks have not all started yet. */
const POINTS: KillPoint[] = (['before', 'during', 'after'] as const).flatMap((when) =>
  [
    ...(when === 'during' ? [] : [{ step: 'lookAtDependents', activity: 'lookAtDependents', undoing: false }]),
    ...[false, true].map((undoing) => ({ step: 'deliver', activity: 'deployToEcs', undoing })),
  ].map((at, n) => ({ ...at, when, kind: KINDS[n % KINDS.length] ?? 'single-user' })),
);

let ecs: EcsServices;
let scripted: ScriptedEcs;
let bed: Testbed;
let survivors: Survived[];
beforeAll(async () => {
  ecs = await openEcsServices(CLUSTER);
  scripted = await startScriptedEcs(process.env['AWS_ENDPOINT_URL'] ?? '');
  // Long, because each rotation stands still until the last of them does.
  bed = await openTestbed({ stepTimeout: '10 minutes', rollbackTimeout: '10 minutes' });
  bed.alsoStop(scripted);
  bed.env['AWS_ENDPOINT_URL'] = scripted.endpoint;
  const workers = await startWorkersFor(bed, POINTS.length);
  survivors = await Promise.all(POINTS.map((point, n) => prepare(point, `${point.kind}-${n}`)));
  await killWorkersUnder(bed, workers, survivors);
}, 600_000);
afterAll(async () => {
  await bed.close();
  ecs.close();
});

async function prepare(point: KillPoint, secret: string): Promise<Survived> {
  await ecs.create(secret);
  const dependents = [{ ecs: { cluster: CLUSTER, services: [secret] } }];
  const rotation = await prepareKilledRotation(bed, point, secret, dependents);
  if (point.when !== 'during') return rotation;
  const { letGo } = rotation;
  return Object.assign(rotation, {
    waitInside: () => inTheDeployment(rotation, secret),
    letGo() {
      scripted.script(secret, {});
      return letGo();
    },
  });
}

async function inTheDeployment({ at, subject }: Survived, secret: string): Promise<void> {
  const already = scripted.begun(secret).length;
  scripted.script(secret, {
    tell({ deployments }, begun) {
      if (begun > already) Object.assign(deployments[0] ?? {}, { rolloutState: 'IN_PROGRESS' });
    },
  });
  const { step, activity } = at;
  await bed.pauses.goOn({ secretId: bed.secrets.idOf(subject.secret), step, activity, when: 'before' });
  await until(`${secret} is deployed`, () => Promise.resolve(scripted.begun(secret).length > already));
}

const titled = POINTS.map(({ kind, undoing, when, activity }, n) => {
  return [kind, `${undoing ? 'undoing, ' : ''}${when} ${activity}`, n] as const;
});

test.each(titled)('%s: killed %s, it begins one deployment for each version', async (_kind, _what, n) => {
  const { at, subject, before, ended, missed } = survivors[n] as Survived;
  if (missed) throw missed;
  const { secret } = subject;
  if (at.undoing) {
    expect(ended?.failure).toMatchObject({
      type: 'RotationRolledBack',
      details: { step: 'deliver', cause: { type: 'DependentUnhealthy' } },
    });
    expect(await bed.secrets.labels(secret)).toEqual(before.labels);
  } else {
    expect(ended).toMatchObject({ result: { outcome: 'rotated', versions: { previous: before.labels.current } } });
  }
  expect(await subject.opens()).toBe(true);
  const begun = scripted.begun(secret);
  expect(begun).toHaveLength(at.undoing ? 2 : 1);
  expect((await ecs.deploymentOf(secret)).id).toBe(begun.at(-1));
});
