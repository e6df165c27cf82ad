import { kubernetesUnavailable } from '../lab/kubernetes/build';
import { startExternalSecrets } from '../lab/kubernetes/external-secrets';
import type { ExternalSecrets } from '../lab/kubernetes/external-secrets';
import { startKubernetes } from '../lab/kubernetes/kubernetes';
import type { Kubernetes } from '../lab/kubernetes/kubernetes';
import { openNamespace } from '../testbed/deployments';
import type { TestNamespace } from '../testbed/deployments';
import { failureOf, openTestbed } from '../testbed/testbed';
import type { Testbed } from '../testbed/testbed';
import { until } from '../testbed/until';

const unavailable = process.env['CI'] === 'true' ? undefined : kubernetesUnavailable();
const describeWithKubernetes = unavailable ? describe.skip : describe;
const why = unavailable ? ` [skipped: ${unavailable.message}]` : '';

/** Longer than a cluster and the operator take to build. */
const BUILD_MS = 45 * 60_000;
const report = (line: string) => void process.stderr.write(`${line}\n`);

describeWithKubernetes(`a rotation whose secret is used in Kubernetes${why}`, () => {
  let bed: Testbed;
  let namespace: TestNamespace;
  let cluster: Kubernetes;
  let operator: ExternalSecrets;
  beforeAll(async () => {
    cluster = await startKubernetes(report);
    operator = await startExternalSecrets(
      cluster,
      {
        endpoint: process.env['AWS_ENDPOINT_URL'] ?? '',
        region: process.env['AWS_REGION'] ?? '',
        credentials: {
          accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
          secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
        },
      },
      report,
    );
    bed = await openTestbed();
    namespace = await openNamespace(bed, cluster);
    await bed.startWorker({ KUBECONFIG: cluster.kubeconfig });
  }, BUILD_MS);
  afterAll(async () => {
    await bed?.close();
    await operator?.stop();
    await cluster?.stop();
  });

  test('gets the new password into the Secret and restarts the workload once', async () => {
    await namespace.deployed('orders');
    const before = await namespace.passwordNow('orders');
    expect(await bed.rotate('orders')).toMatchObject({ outcome: 'rotated' });
    expect(await namespace.passwordNow('orders')).not.toBe(before);
    expect(await namespace.held('orders')).toBe(await namespace.passwordNow('orders'));
    expect(await bed.databases.opens('orders')).toBe(true);
    expect(await namespace.replicaSets('orders')).toHaveLength(2);
  });

  test('that never gets ready is rolled back: the old password is delivered again', async () => {
    await namespace.deployed('stuck', { progressDeadlineSeconds: 8 });
    const before = await namespace.passwordNow('stuck');
    const path = namespace.deploymentPath('stuck');
    const secretId = bed.secrets.idOf('stuck');
    const point = { secretId, step: 'deliver', activity: 'restartWorkload', when: 'before' } as const;
    await bed.pauses.stopAt(point);
    const handle = await bed.start('stuck');
    await bed.pauses.reached(point);
    expect(await namespace.held('stuck')).toBe(await namespace.passwordNow('stuck'));
    // The next pods never get ready; taken off again, so that those of the rollback do.
    await cluster.request('PATCH', path, {
      spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': 'x' } } } },
    });
    await bed.pauses.goOn(point);
    await until('the rollback', async () => {
      const status = await handle.query<{ phase: string }>('status');
      return status.phase === 'rolling-back';
    });
    await cluster.request('PATCH', path, {
      spec: { template: { metadata: { labels: { 'keyturn.test/never-ready': null } } } },
    });
    const { type, message } = await failureOf(handle.result());
    expect(type).toBe('RotationRolledBack');
    expect(message).toContain(`The Deployment ${bed.environment}/stuck`);
    expect(message).toContain('ProgressDeadlineExceeded');
    expect(await namespace.passwordNow('stuck')).toBe(before);
    expect(await namespace.held('stuck')).toBe(before);
    expect(await bed.databases.opens('stuck')).toBe(true);
  });

  test('is refused before anything changes when a workload is missing', async () => {
    await namespace.deployed('lonely');
    await cluster.request('DELETE', namespace.deploymentPath('lonely'));
    const before = await bed.secrets.versionIds('lonely');
    const { type, message } = await failureOf(bed.rotate('lonely'));
    expect(type).toBe('RotationRefused');
    expect(message).toContain(`The Deployment ${bed.environment}/lonely`);
    expect(message).toContain('there is no such workload');
    expect(await bed.secrets.versionIds('lonely')).toEqual(before);
  });
});
