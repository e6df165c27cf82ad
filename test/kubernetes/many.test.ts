import { inLanes } from '../../src/rotation/in-lanes';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { testSideBySide } from '../testbed/side-by-side';
import { createSubject } from '../testbed/subjects';
import { until } from '../testbed/until';

const COUNT = 20;
const AT_ONCE = 4;
const numbered = (name: string) => Array.from({ length: COUNT }, (_, n) => `${name}-${n + 1}`);

interface Deployments {
  items: {
    metadata: { name: string; generation: number };
    status?: Partial<Record<'observedGeneration' | 'replicas' | 'updatedReplicas' | 'availableReplicas', number>>;
  }[];
}

describeInCluster('many workloads of one secret, and many secrets at once', () => {
  let stage: ClusterBed;
  beforeAll(async () => {
    stage = await openClusterBed();
    await stage.bed.startWorker();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  async function expectInUse(secret: string, deployments: string[]): Promise<void> {
    expect(await stage.held(secret)).toBe(await stage.current(secret));
    for (const deployment of deployments) {
      expect([deployment, await stage.restarts(deployment)]).toEqual([deployment, 1]);
    }
  }

  /** How many Deployments of a name are between two states; the list is one consistent look. */
  async function inProgress(name: string): Promise<number> {
    const { items } = (await stage.cluster.request<Deployments>('GET', stage.path('deployments'))) ?? { items: [] };
    return items.filter(({ metadata, status = {} }) => {
      const { observedGeneration, replicas, updatedReplicas, availableReplicas } = status;
      const isDone = replicas === 1 && updatedReplicas === 1 && availableReplicas === 1;
      return metadata.name.startsWith(`${name}-`) && !(isDone && observedGeneration === metadata.generation);
    }).length;
  }

  testSideBySide({
    async [`${COUNT} Deployments of one secret are restarted once each, ${AT_ONCE} at a time`]() {
      const deployments = numbered('service');
      const subject = await createSubject(stage.bed, 'alternating-users', 'shared', {
        dependents: [stage.dependentOn('shared', { workloads: deployments.map((deployment) => ({ deployment })) })],
        delivery: { maxRestartsAtOnce: AT_ONCE },
      });
      await stage.deploy('shared', { deployments, annotations: { 'keyturn.test/ready-after': '1s' } });
      expect(await inProgress('service')).toBe(0);

      const handle = await stage.bed.start('shared');
      const rotation = handle.result();
      const seen = new Set<number>();
      await until(
        'the rotation has ended',
        async () => {
          seen.add(await inProgress('service'));
          return (await handle.describe()).status.name !== 'RUNNING';
        },
        { everyMs: 250 },
      );
      expect(await rotation).toMatchObject({ outcome: 'rotated' });
      expect(Math.max(...seen)).toBeLessThanOrEqual(AT_ONCE);
      expect(Math.max(...seen)).toBeGreaterThan(1);
      await expectInUse('shared', deployments);
      expect(await subject.opens()).toBe(true);

      const { events = [] } = await handle.fetchHistory();
      expect(Math.max(...runningAtOnce(events ?? []))).toBe(AT_ONCE);
    },

    async [`${COUNT} secrets with a dependent each rotate at once`]() {
      const secrets = numbered('secret');
      await inLanes(secrets, 5, async (secret) => {
        await createSubject(stage.bed, 'app-secret', secret, {
          dependents: [stage.dependentOn(secret, { keys: [{ key: 'password' }] })],
        });
        await stage.deploy(secret);
      });
      const rotations = await Promise.all(secrets.map((secret) => stage.bed.rotate(secret)));
      expect(rotations.map(({ outcome }) => outcome)).toEqual(secrets.map(() => 'rotated'));
      await Promise.all(secrets.map((secret) => expectInUse(secret, [secret])));
    },
  });
});

type HistoryEvent = NonNullable<
  Awaited<ReturnType<Awaited<ReturnType<ClusterBed['bed']['start']>>['fetchHistory']>>['events']
>[number];

/** How many restarts were under way after each event of a history. */
function runningAtOnce(events: HistoryEvent[]): number[] {
  const running = new Set<string>();
  return events.map(
    ({ eventId, activityTaskScheduledEventAttributes: scheduled, activityTaskCompletedEventAttributes: done }) => {
      if (scheduled?.activityType?.name === 'restartWorkload') running.add(String(eventId));
      if (done) running.delete(String(done.scheduledEventId));
      return running.size;
    },
  );
}
