import type { KillPoint } from '../testbed/kill-points';
import { killWorkersUnder, startWorkersFor } from '../testbed/kill-workers';
import type { Survived } from '../testbed/kill-workers';
import { prepareKilledRotation } from '../testbed/killed-rotation';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { until } from '../testbed/until';

/** By turns: what is done to the database makes no difference to the delivery, but both ends have to agree with it. */
const KINDS = ['single-user', 'alternating-users'] as const;

/** What a rotation does towards the cluster, and what it does there to go back. */
const FORWARD: Pick<KillPoint, 'step' | 'activity'>[] = [
  { step: 'lookAtDependents', activity: 'lookAtDependents' },
  { step: 'deliver', activity: 'syncToKubernetes' },
  { step: 'deliver', activity: 'restartWorkload' },
];
const BACK = FORWARD.filter(({ step }) => step === 'deliver');

/** Within them: the operator has not synced yet, or the new pods are not ready yet. */
const INSTANTS = ['before', 'during', 'after'] as const;

const POINTS: KillPoint[] = INSTANTS.flatMap((when) =>
  [
    ...FORWARD.filter(({ step }) => when !== 'during' || step === 'deliver').map((at) => ({ ...at, undoing: false })),
    ...BACK.map((at) => ({ ...at, undoing: true })),
  ].map((at, n) => ({ ...at, when, kind: KINDS[n % KINDS.length] ?? 'single-user' })),
);

describeInCluster('a worker killed with SIGKILL around a delivery to Kubernetes', () => {
  let stage: ClusterBed;
  let survivors: Survived[];
  beforeAll(async () => {
    // Long, because each rotation stands still until the last of them does.
    stage = await openClusterBed({ stepTimeout: '10 minutes', rollbackTimeout: '10 minutes' });
    const workers = await startWorkersFor(stage.bed, POINTS.length);
    survivors = await Promise.all(POINTS.map((point, n) => prepare(point, `${point.kind}-${n}`)));
    await killWorkersUnder(stage.bed, workers, survivors);
  }, BUILD_MS);
  afterAll(() => stage?.close());

  async function prepare(point: KillPoint, secret: string): Promise<Survived> {
    const rotation = await prepareKilledRotation(stage.bed, point, secret, [stage.dependentOn(secret)]);
    const slowly = point.when === 'during' && { annotations: { 'keyturn.test/ready-after': '5s' } };
    await stage.deploy(secret, { ...slowly });
    if (point.when !== 'during') return rotation;
    const isIn = point.activity === 'restartWorkload' ? inTheRollout : inTheSync;
    const { letGo } = rotation;
    return Object.assign(rotation, {
      waitInside: () => isIn(rotation, secret),
      async letGo() {
        await letGo();
        await startOperator();
      },
    });
  }

  const pointOf = ({ at, subject }: Survived) => ({
    secretId: stage.bed.secrets.idOf(subject.secret),
    step: at.step,
    activity: at.activity,
    when: 'before' as const,
  });

  /** Pods take a while to become ready. */
  async function inTheRollout(rotation: Survived, secret: string): Promise<void> {
    const restarts = await stage.restarts(secret);
    await stage.bed.pauses.goOn(pointOf(rotation));
    await until(`${secret} is restarted`, async () => (await stage.restarts(secret)) === restarts + 1);
  }

  /** Nothing is synced any more; by then everybody else has come to a point. */
  async function inTheSync(rotation: Survived, secret: string): Promise<void> {
    await stopOperator();
    const asked = await askedFor(secret);
    await stage.bed.pauses.goOn(pointOf(rotation));
    await until(`${secret} is asked for`, async () => (await askedFor(secret)) !== asked);
  }

  async function askedFor(secret: string): Promise<string | undefined> {
    const path = stage.path('externalsecrets', secret);
    const found = await stage.cluster.request<{ metadata: { annotations?: Record<string, string> } }>('GET', path);
    return found?.metadata.annotations?.['force-sync'];
  }

  let stopped: Promise<void> | undefined;
  let started: Promise<void> | undefined;
  const stopOperator = () => (stopped ??= stage.operator.stop());
  const startOperator = () => (started ??= stage.operator.start());

  const titled = POINTS.map((point, n) => {
    const what = `${point.undoing ? 'undoing, ' : ''}${point.when} ${point.activity}`;
    return [point.kind, what, n] as const;
  });

  test.each(titled)('%s: killed %s', async (_kind, _what, n) => {
    const { at, subject, before, ended, missed } = survivors[n] as Survived;
    if (missed) throw missed;
    const { secret } = subject;
    if (at.undoing) {
      expect(ended?.failure).toMatchObject({
        type: 'RotationRolledBack',
        details: { step: 'deliver', cause: { type: 'DependentUnhealthy' } },
      });
      expect(await stage.bed.secrets.labels(secret)).toEqual(before.labels);
    } else {
      expect(ended).toMatchObject({ result: { outcome: 'rotated', versions: { previous: before.labels.current } } });
    }
    expect(await stage.held(secret)).toBe(await stage.current(secret));
    expect(await subject.opens()).toBe(true);

    // One for the candidate, and one for the old version where it was delivered again.
    expect(await stage.restarts(secret)).toBe(at.undoing ? 2 : 1);
    const { current } = await stage.bed.secrets.labels(secret);
    const mark = await stage.restartedFor(secret, secret);
    if (at.undoing) expect(mark?.split('.after.')).toEqual([current, expect.any(String)]);
    else expect(mark).toBe(current);
    expect(await stage.cluster.request('GET', stage.path('deployments', secret))).toMatchObject({
      status: { replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
    });
  });
});
