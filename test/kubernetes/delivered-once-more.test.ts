import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { createSubject } from '../testbed/subjects';
import { until } from '../testbed/until';

describeInCluster('AWSCURRENT that is brought once more', () => {
  let stage: ClusterBed;
  beforeAll(async () => {
    stage = await openClusterBed();
    await stage.bed.startWorker();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  const DELIVER = 'deliverSecret';
  const change = (secret: string, password: string | null) =>
    stage.cluster.request('PATCH', stage.path('secrets', secret), { data: { password } });
  const deliverAgain = (secret: string) => stage.bed.rotate(secret, {}, DELIVER);

  async function expectOneRestart(secret: string, by: string): Promise<void> {
    const { current } = await stage.bed.secrets.labels(secret);
    expect(await stage.held(secret)).toBe(await stage.current(secret));
    expect(await stage.restarts(secret)).toBe(2);
    expect(await stage.restartedFor(secret, secret)).toBe(`${current}.by.${by}`);
    // What is as it should be is left alone.
    expect(await deliverAgain(secret)).toMatchObject({ outcome: 'delivered' });
    expect(await stage.restarts(secret)).toBe(2);
  }

  test('restarts the workloads of a Secret that somebody had changed, also where the operator was faster', async () => {
    await createSubject(stage.bed, 'app-secret', 'edited', {
      dependents: [stage.dependentOn('edited', { keys: [{ key: 'password' }] })],
    });
    await stage.deploy('edited');
    await stage.bed.rotate('edited');
    expect(await stage.restarts('edited')).toBe(1);
    expect(await deliverAgain('edited')).toMatchObject({ outcome: 'delivered' });
    expect(await stage.restarts('edited')).toBe(1);

    await stage.operator.stop();
    await change('edited', Buffer.from('written-by-hand').toString('base64'));
    const point = {
      secretId: stage.bed.secrets.idOf('edited'),
      step: 'deliver',
      activity: 'syncToKubernetes',
      when: 'before',
    } as const;
    await stage.bed.pauses.stopAt(point);
    const handle = await stage.bed.start('edited', {}, DELIVER);
    await stage.bed.pauses.reached(point);
    await stage.operator.start();
    await until('it is put right', async () => (await stage.held('edited')) === (await stage.current('edited')));
    await stage.bed.pauses.goOn(point);
    expect(await handle.result()).toMatchObject({ outcome: 'delivered' });
    await expectOneRestart('edited', handle.firstExecutionRunId);
  });

  test('restarts the workloads of a Secret without an operator that had lost a key', async () => {
    await stage.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'pushed' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'pushed' } },
        template: {
          metadata: { labels: { app: 'pushed' } },
          spec: { containers: [{ name: 'app', image: 'registry.example.com/app:1' }] },
        },
      },
    });
    const push = { sync: 'push', externalSecret: undefined, secret: 'pushed', keys: [{ key: 'password' }] };
    await createSubject(stage.bed, 'app-secret', 'pushed', { dependents: [stage.dependentOn('pushed', push)] });
    await stage.bed.rotate('pushed');
    expect(await deliverAgain('pushed')).toMatchObject({ outcome: 'delivered' });
    expect(await stage.restarts('pushed')).toBe(1);

    await change('pushed', null);
    const handle = await stage.bed.start('pushed', {}, DELIVER);
    expect(await handle.result()).toMatchObject({ outcome: 'delivered' });
    await expectOneRestart('pushed', handle.firstExecutionRunId);
  });
});
