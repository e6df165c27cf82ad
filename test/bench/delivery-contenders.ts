import { setTimeout as delay } from 'node:timers/promises';
import { UpdateSecretVersionStageCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { rolloutState } from '../../src/activities/delivery/kubernetes/rollout-state';
import type { WorkloadObject } from '../../src/activities/delivery/kubernetes/rollout-state';
import type { SecretObject } from '../../src/activities/delivery/kubernetes/objects';
import { inLanes } from '../../src/rotation/in-lanes';
import { secretIdOf } from '../../src/rotation/names';
import type { ClusterCalls, ObjectState } from './cluster-calls';
import { deliveryTimes } from './delivery-history';
import { KEY } from './delivery-subjects';
import type { DeliverySubject } from './delivery-subjects';
import { createDirectCalls, newPassword } from './direct-calls';
import type { Stage } from './stage';
import { ENVIRONMENT } from './subjects';

export const DELIVERY_CONTENDERS = ['rotation', 'floor', 'script'] as const;
export type DeliveryContender = (typeof DELIVERY_CONTENDERS)[number];

export const DELIVERY_NAMES: Record<DeliveryContender, string> = {
  rotation: 'Keyturn',
  floor: 'the floor: annotate, watch, patch, watch, by hand',
  script: 'the usual script: annotate, sleep 10 s and look, restart all, wait for each',
};

/** Milliseconds from when AWSCURRENT is about to be moved; as the contender itself knows it. */
export interface DeliveryTimes {
  /** Until the Secret held the new value. */
  syncedMs: number;
  /** Until all pods of all workloads were new and ready. */
  readyMs: number;
}

/** Keyturn's default (catalog, `maxRestartsAtOnce`): the floor keeps to it too. */
const RESTARTS_AT_ONCE = 10;
const SCRIPT_LOOKS_EVERY_MS = 10_000;

const SECRETS = `/api/v1/namespaces/${ENVIRONMENT}/secrets`;
const DEPLOYMENTS = `/apis/apps/v1/namespaces/${ENVIRONMENT}/deployments`;
const EXTERNAL_SECRETS = `/apis/external-secrets.io/v1/namespaces/${ENVIRONMENT}/externalsecrets`;

/** One delivery of a new version. */
export async function deliverOnce(
  stage: Stage,
  cluster: ClusterCalls,
  contender: DeliveryContender,
  subject: DeliverySubject,
): Promise<DeliveryTimes> {
  switch (contender) {
    case 'rotation':
      return deliveryTimes(stage, await stage.rotate(subject.secret, 'app-secret'));
    case 'floor':
      return deliverDirectly(cluster, subject, await promotion(stage, subject));
    case 'script':
      return deliverAsAScript(cluster, subject, await promotion(stage, subject));
  }
}

/** What has to be in the Secret, and what brings it into use. */
interface Promotion {
  value: string;
  promote(): Promise<void>;
}

/** The least that delivers and knows it: what a program would do that is never killed and never fails. */
async function deliverDirectly(
  cluster: ClusterCalls,
  { secret, workloads }: DeliverySubject,
  { value, promote }: Promotion,
): Promise<DeliveryTimes> {
  const startedAt = performance.now();
  await promote();
  const before = await cluster.get<SecretObject & ObjectState>(`${SECRETS}/${secret}`);
  await askForSync(cluster, secret);
  await cluster.watchUntil<SecretObject>(SECRETS, before, (state) => valueIn(state) === value);
  const syncedMs = performance.now() - startedAt;
  await inLanes(workloads, RESTARTS_AT_ONCE, async (name) => rolledOut(cluster, await restart(cluster, name)));
  return { syncedMs, readyMs: performance.now() - startedAt };
}

/**
 * What scripts do with `kubectl annotate`, `while sleep 10` and a look, `kubectl rollout restart` of all, and `kubectl rollout status` of one
 * after another. The calls are made from here: kubectl itself would take a process and a discovery of the API more for each.
 */
async function deliverAsAScript(
  cluster: ClusterCalls,
  { secret, workloads }: DeliverySubject,
  { value, promote }: Promotion,
): Promise<DeliveryTimes> {
  const startedAt = performance.now();
  await promote();
  await askForSync(cluster, secret);
  do await delay(SCRIPT_LOOKS_EVERY_MS);
  while (valueIn(await cluster.get<SecretObject>(`${SECRETS}/${secret}`)) !== value);
  const syncedMs = performance.now() - startedAt;
  for (const name of workloads) await restart(cluster, name);
  for (const name of workloads) await rolledOut(cluster, await workload(cluster, name));
  return { syncedMs, readyMs: performance.now() - startedAt };
}

/** Stores a candidate; its promotion is what the time counts from. */
async function promotion({ secretsManager }: Stage, { secret }: DeliverySubject): Promise<Promotion> {
  const SecretId = secretIdOf(ENVIRONMENT, secret);
  const value = newPassword();
  const current = (await createDirectCalls(secretsManager, SecretId).describe())('AWSCURRENT');
  const put = new PutSecretValueCommand({ SecretId, SecretString: value, VersionStages: ['AWSPENDING'] });
  const { VersionId: candidate } = await secretsManager.send(put);
  const move = (VersionStage: string, RemoveFromVersionId?: string, MoveToVersionId?: string) =>
    secretsManager.send(
      new UpdateSecretVersionStageCommand({ SecretId, VersionStage, RemoveFromVersionId, MoveToVersionId }),
    );
  return {
    value,
    async promote() {
      await move('AWSCURRENT', current, candidate);
      await move('AWSPENDING', candidate);
    },
  };
}

type DeploymentState = WorkloadObject & ObjectState;

const now = () => new Date().toISOString();

const askForSync = (cluster: ClusterCalls, secret: string) =>
  cluster.patch(`${EXTERNAL_SECRETS}/${secret}`, { metadata: { annotations: { 'force-sync': now() } } });

const restart = (cluster: ClusterCalls, name: string) =>
  cluster.patch<DeploymentState>(`${DEPLOYMENTS}/${name}`, {
    spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': now() } } } },
  });

export const workload = (cluster: ClusterCalls, name: string) => cluster.get<DeploymentState>(`${DEPLOYMENTS}/${name}`);

/** Waits for all pods, by the rules of `kubectl rollout status`. */
export const rolledOut = (cluster: ClusterCalls, known: DeploymentState): Promise<void> =>
  cluster.watchUntil<WorkloadObject>(DEPLOYMENTS, known, (state) => rolloutState('Deployment', state).is === 'done');

const valueIn = ({ data }: SecretObject) => data && Buffer.from(data[KEY] ?? '', 'base64').toString();
