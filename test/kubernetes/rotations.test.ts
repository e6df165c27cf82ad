import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { failureOf } from '../testbed/testbed';
import { until } from '../testbed/until';

describeInCluster('a rotation whose secret is used in Kubernetes', () => {
  let stage: ClusterBed;
  beforeAll(async () => {
    stage = await openClusterBed({ stepTimeout: '60 seconds' });
    await stage.bed.startWorker();
  }, BUILD_MS);
  afterAll(() => stage?.close());

  async function deployed(secret: string, spec: object = {}): Promise<void> {
    await stage.bed.databases.alternatingUsers(secret, { declaration: { dependents: [stage.dependentOn(secret)] } });
    await stage.deploy(secret, { spec });
  }

  test('gets the new password into the Secret and restarts the workload once', async () => {
    await deployed('orders');
    const before = await stage.current('orders');
    expect(await stage.bed.rotate('orders')).toMatchObject({ outcome: 'rotated' });
    expect(await stage.current('orders')).not.toBe(before);
    expect(await stage.held('orders')).toBe(await stage.current('orders'));
    expect(await stage.bed.databases.opens('orders')).toBe(true);
    expect(await stage.restarts('orders')).toBe(1);
  });

  test('that never gets ready is rolled back: the old password is delivered again', async () => {
    await deployed('stuck', { progressDeadlineSeconds: 8 });
    const before = await stage.current('stuck');
    const path = stage.path('deployments', 'stuck');
    const secretId = stage.bed.secrets.idOf('stuck');
    const point = { secretId, step: 'deliver', activity: 'restartWorkload', when: 'before' } as const;
    await stage.bed.pauses.stopAt(point);
    const handle = await stage.bed.start('stuck');
    await stage.bed.pauses.reached(point);
    expect(await stage.held('stuck')).toBe(await stage.current('stuck'));
    // The next pods never get ready; taken off again, so that those of the rollback do.
    await stage.cluster.request('PATCH', path, {
      spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': 'x' } } } },
    });
    await stage.bed.pauses.goOn(point);
    await until('the rollback', async () => {
      const status = await handle.query<{ phase: string }>('status');
      return status.phase === 'rolling-back';
    });
    await stage.cluster.request('PATCH', path, {
      spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': null } } } },
    });
    const { type, message } = await failureOf(handle.result());
    expect(type).toBe('RotationRolledBack');
    expect(message).toContain(`The Deployment ${stage.bed.environment}/stuck`);
    expect(message).toContain('ProgressDeadlineExceeded');
    expect(await stage.current('stuck')).toBe(before);
    expect(await stage.held('stuck')).toBe(before);
    expect(await stage.bed.databases.opens('stuck')).toBe(true);
  });

  test('is refused before anything changes when a workload is missing', async () => {
    await deployed('lonely');
    await stage.cluster.request('DELETE', stage.path('deployments', 'lonely'));
    const before = await stage.bed.secrets.versionIds('lonely');
    const { type, message } = await failureOf(stage.bed.rotate('lonely'));
    expect(type).toBe('RotationRefused');
    expect(message).toContain(`The Deployment ${stage.bed.environment}/lonely`);
    expect(message).toContain('there is no such workload');
    expect(await stage.bed.secrets.versionIds('lonely')).toEqual(before);
  });
});
