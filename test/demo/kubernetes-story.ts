import { startVisitors, type Visitors } from '../lab/kubernetes/pods/visitors';
import { applyManifests } from '../lab/kubernetes/api';
import { applicationManifest, asText, hardCode } from '../lab/kubernetes/pods/manifests';
import type { SampleCluster } from '../lab/kubernetes/sample';
import { until } from '../testbed/until';
import { opensDatabase } from '../lab/postgres-login';
import { readCredential } from './application';
import { rotate, seconds, short } from './stage';
import type { Chapter, Stage } from './stage';

/** How long the demo's Deployment gives a rollout; a real one has minutes. */
const PROGRESS_DEADLINE_S = 8;

/** The new password gets into the cluster, and two applications pick it up, each in its own way. */
export async function rotateInKubernetes(stage: Stage, sample: SampleCluster, secretId: string): Promise<Chapter> {
  stage.say(
    `\n8. ${secretId} is used in Kubernetes. External Secrets Operator syncs it into the Secret ${sample.orders.namespace}/${sample.orders.secret}; orders-worker\n` +
      '   reads its environment and is restarted, orders-api reads its mounted files again. Both are asked all the time.',
  );
  const before = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  const oldPods = await bothReady(sample, 'orders-worker');
  await bothReady(sample, 'orders-api');
  const asked = await askThroughout(sample, ['orders-worker', 'orders-api']);
  const startedAt = Date.now();
  const { outcome, versions } = await rotate(stage, secretId, 'database').finally(() => settle(asked));
  const took = seconds(startedAt);
  const now = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  const newPods = sample.kubelet.readyPods('orders-worker');
  stage.say(`   the pods ${oldPods.join(' and ')} have been replaced by ${newPods.join(' and ')}`);
  const users = asked.map(({ visits }) => visits.lastUser);
  stage.say(`   the database saw ${before.username} before, and sees ${[...new Set(users)].join(' and ')} now`);
  const { requests, failed } = totals(asked);
  return {
    what: 'Kubernetes',
    secretId,
    outcome,
    took,
    oldVersion: short(versions.previous),
    newVersion: short(versions.current),
    application: `${requests} requests, ${failed} failed`,
    oldCredential: (await opensDatabase(before)) ? 'works until the next rotation' : 'refused',
    asPromised:
      outcome === 'rotated' &&
      failed === 0 &&
      users.every((user) => user === now.username) &&
      newPods.length === 2 &&
      newPods.every((pod) => !oldPods.includes(pod)) &&
      (await opensDatabase(now)),
  };
}

/** One more application does not take up the new login: its new pods never become ready. */
export async function rollBackInKubernetes(stage: Stage, sample: SampleCluster, secretId: string): Promise<Chapter> {
  const before = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  stage.say(
    `\n9. One more Deployment, orders-reports, has the login ${before.username} written down and takes only the password from the Secret.\n` +
      '   With the other login its pods never become ready, so the rotation is rolled back. All three are asked all the time.',
  );
  const manifest = await applicationManifest('environment', { ...sample.orders, app: 'orders-reports' });
  manifest.spec.progressDeadlineSeconds = PROGRESS_DEADLINE_S;
  hardCode(manifest, 'DATABASE_USER', before.username);
  await applyManifests(sample.access, asText([manifest]));
  await bothReady(sample, 'orders-reports');
  const asked = await askThroughout(sample, ['orders-worker', 'orders-api', 'orders-reports']);
  const startedAt = Date.now();
  const failure = await rotate(stage, secretId, 'database')
    .then(
      () => undefined,
      (error: unknown) => error as { type?: string; message: string },
    )
    .finally(() => settle(asked));
  const took = seconds(startedAt);
  stage.say(`   ${failure?.type}: ${failure?.message.split('\n')[0]}`);
  const after = await readCredential(stage.secretsManager, secretId, { VersionStage: 'AWSCURRENT' });
  const works = await opensDatabase(after);
  const { requests, failed } = totals(asked);
  return {
    what: 'Kubernetes, rollback',
    secretId,
    outcome: failure?.type === 'RotationRolledBack' ? 'rolled back' : 'not as promised',
    took,
    oldVersion: short(before.versionId),
    newVersion: short(after.versionId),
    application: `${requests} requests, ${failed} failed`,
    oldCredential: works ? 'works again' : 'refused',
    asPromised:
      failure?.type === 'RotationRolledBack' &&
      failed === 0 &&
      works &&
      after.versionId === before.versionId &&
      asked.every(({ visits }) => visits.lastUser === before.username),
  };
}

/** Waits for the two pods of a Deployment. */
function bothReady({ kubelet }: SampleCluster, app: string): Promise<string[]> {
  return until(`two ready pods of ${app}`, () => {
    const pods = kubelet.readyPods(app);
    return Promise.resolve(pods.length === 2 && pods);
  });
}

/** Returns when each application has answered once. */
async function askThroughout({ kubelet }: SampleCluster, apps: string[]): Promise<Visitors[]> {
  return Promise.all(
    apps.map(async (app) => {
      const visitors = startVisitors((await kubelet.serve(app)).url);
      await until(`${app} answers`, () => Promise.resolve(visitors.visits.lastUser));
      return visitors;
    }),
  );
}

/** Goes on asking for a moment after the rotation. */
async function settle(asked: Visitors[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 500));
  await Promise.all(asked.map((visitors) => visitors.stop()));
}

function totals(asked: Visitors[]): { requests: number; failed: number } {
  return {
    requests: asked.reduce((sum, { visits }) => sum + visits.requests, 0),
    failed: asked.reduce((sum, { visits }) => sum + visits.failures.length, 0),
  };
}
