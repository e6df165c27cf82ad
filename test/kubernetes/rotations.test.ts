import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { BUILD_MS, describeInCluster } from '../testbed/cluster';
import { openClusterBed } from '../testbed/kubernetes-rotations';
import type { ClusterBed } from '../testbed/kubernetes-rotations';
import { createSubject } from '../testbed/subjects';
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

  test('of an API key goes on with the old key until the new one is promoted, and restarts the workload once', async () => {
    const { bed } = stage;
    const dependents = [stage.dependentOn('payments', { keys: { password: 'key' } })];
    const { service } = await createSubject(bed, 'api-key', 'payments', { dependents, gracePeriod: '1 hour' });
    await stage.deploy('payments', { field: 'key' });
    const old = await stage.current('payments', 'key');
    const handle = await bed.start('payments');
    await until('both keys work', async () => {
      const { phase } = await handle.query<{ phase: string }>('status');
      return phase === 'grace-period';
    });
    expect(await stage.held('payments')).toBe(old);
    expect(await stage.restarts('payments')).toBe(0);
    await handle.executeUpdate('endGracePeriod', { args: [{ requestedBy: 'tester' }] });
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await stage.held('payments')).toBe(await stage.current('payments', 'key'));
    expect(await stage.held('payments')).not.toBe(old);
    expect(await stage.restarts('payments')).toBe(1);
    expect(service?.keys()).toHaveLength(1);
  });

  test('of an API key that never gets ready is rolled back: the old key is delivered again', async () => {
    const { bed } = stage;
    const dependents = [stage.dependentOn('billing', { keys: { password: 'key' } })];
    const { service } = await createSubject(bed, 'api-key', 'billing', { dependents, gracePeriod: '0 s' });
    await stage.deploy('billing', { field: 'key', spec: { progressDeadlineSeconds: 8 } });
    const old = await stage.current('billing', 'key');
    const ready = (never: string | null) =>
      stage.cluster.request('PATCH', stage.path('deployments', 'billing'), {
        spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': never } } } },
      });
    const point = { secretId: bed.secrets.idOf('billing'), step: 'promote', when: 'after' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('billing');
    await bed.pauses.reached(point);
    await ready('x');
    await bed.pauses.goOn(point);
    await until('the rollback', async () => {
      const { phase } = await handle.query<{ phase: string }>('status');
      return phase === 'rolling-back';
    });
    await ready(null);
    expect(await failureOf(handle.result())).toMatchObject({ type: 'RotationRolledBack' });
    expect(await stage.current('billing', 'key')).toBe(old);
    expect(await stage.held('billing')).toBe(old);
    expect(service?.keys()).toHaveLength(1);
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

  test('is refused before anything changes when a key is mapped to a field that the secret does not have', async () => {
    const dependents = [stage.dependentOn('mistyped', { keys: { password: 'passwort' } })];
    await stage.bed.databases.alternatingUsers('mistyped', { declaration: { dependents } });
    await stage.deploy('mistyped');
    const before = await stage.bed.secrets.versionIds('mistyped');
    const { type, message, details } = await failureOf(stage.bed.rotate('mistyped'));
    expect({ type, details }).toMatchObject({
      type: 'RotationRefused',
      details: { step: 'lookAtDependents', cause: { type: 'SecretUnusable' } },
    });
    expect(message).toContain('has no field passwort');
    expect(await stage.bed.secrets.versionIds('mistyped')).toEqual(before);
  });

  test('goes back also when it is AWSCURRENT that lacks the field', async () => {
    const { bed } = stage;
    const good = JSON.stringify({ password: 'a-password-that-works' });
    await bed.declare({
      damaged: { type: 'app-secret', field: 'password', dependents: [stage.dependentOn('damaged')] },
    });
    await bed.secrets.create('damaged', good);
    await stage.deploy('damaged');
    const SecretId = bed.secrets.idOf('damaged');
    await bed.secretsManager.send(new PutSecretValueCommand({ SecretId, SecretString: '{"passwort":"by-mistake"}' }));
    const handle = await bed.start('damaged', {}, 'rollbackSecret');
    expect(await handle.result()).toMatchObject({ outcome: 'rotated' });
    expect(await bed.secrets.value('damaged')).toBe(good);
    expect(await stage.held('damaged')).toBe('a-password-that-works');
  });
});
