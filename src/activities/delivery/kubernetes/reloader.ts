import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import type { KubernetesDependent, SeenBefore, Workload } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { SecretObject } from './objects';
import { FIELD_MANAGER, SECRETS, changedTime, writtenAt } from './objects';
import { revisionOf } from './revision';
import { waitForRollout, workloadTarget } from './rollout';
import type { WorkloadObject } from './rollout-state';
import { wasWrittenSince } from './sync-result';
import { endOfWait } from './waiting';
import { watchUntil } from './watch';

/** Reloader watches Secrets, and patches a workload within seconds. */
const RESTART_WITHIN_MS = 60_000;

/**
 * Waits until Stakater Reloader, or whatever else watches the Secret, has restarted a workload, and until its pods are available.
 *
 * Whether it has is told from the API server's own times: the pod template (or an Argo Rollout's `restartAt`) was written by somebody
 * else after the Secret got its present content. That holds also for a restart that was over before anybody looked. The API server notes
 * one time for all that a writer has written of a workload, so that Helm changing the replicas looks alike: the template must also be
 * another one than was seen before anything was changed.
 *
 * @param about `changedAt`: when the Secret was seen to get its present content. What the Secret itself says of that is later when its
 * writer has changed anything else of it since, as External Secrets Operator does with its annotations. `seen`: while the Secret is as it
 * was then, the template may be as well. `isUndoing`: a restart that does not come is NotRestarted.
 * @throws RolloutFailed when no restart comes within a minute, or it does not end in time.
 */
export async function waitForReloader(
  cluster: Cluster,
  dependent: KubernetesDependent,
  workload: Workload,
  about: { changedAt?: number; seen?: SeenBefore; isUndoing: boolean },
): Promise<void> {
  if (dependent.waitFor === 'synced') return;
  const { namespace, secret: name, timeoutMs } = dependent;
  const target = workloadTarget(cluster, dependent, workload);
  const secret = await cluster.read<SecretObject>({ resource: SECRETS, namespace, name }, 'metadata');
  if (!secret) throw target.failed(`the Secret ${name}, whose change should restart it, is not there any more.`);
  // Whoever applied the Secret with stringData is not noted as the writer of its data.
  const changedAt = about.changedAt ?? changedTime(secret) ?? writtenAt(secret, []) ?? 0;

  const former = wasWrittenSince(about.seen, secret) ? about.seen?.revision : undefined;
  const isOfFormer = (state: WorkloadObject) => former !== undefined && revisionOf(workload.kind, state) === former;

  const end = endOfWait(timeoutMs);
  const patienceMs = Math.min(RESTART_WITHIN_MS, timeoutMs);
  const isRestarted = await watchUntil<WorkloadObject>(cluster, target.name, endOfWait(patienceMs), (state) => {
    if (!state) throw target.failed('there is no such workload. Correct the catalog, or create it.');
    return (restartedAt(state) ?? 0) >= changedAt && !isOfFormer(state);
  });
  if (!isRestarted) {
    const why = `nobody restarted it within ${formatDuration(patienceMs)} after the Secret ${name} had changed`;
    const look =
      'Look whether Reloader runs and watches this namespace, and whether the workload has its annotation reloader.stakater.com/auto or secret.reloader.stakater.com/reload';
    if (!about.isUndoing) throw target.failed(`${why}. ${look}. Or set restart: rollout.`);
    const { kind } = workload;
    const command =
      kind === 'Rollout'
        ? `kubectl argo rollouts restart ${workload.name} -n ${namespace}`
        : `kubectl -n ${namespace} rollout restart ${kind.toLowerCase()}/${workload.name}`;
    throw failure(
      Cause.NotRestarted,
      `${target.called}: ${why} back, so that its pods may still use what was taken back. Restart it now: ${command}. ${look}; it does not make up for a change that it has missed.`,
    );
  }
  await waitForRollout(cluster, target, end, timeoutMs);
}

function restartedAt(workload: WorkloadObject): number | undefined {
  const byOthers = (manager: string) => manager !== FIELD_MANAGER;
  const times = [
    ['spec', 'template'],
    ['spec', 'restartAt'],
  ].flatMap((path) => writtenAt(workload, path, byOthers) ?? []);
  return times.length === 0 ? undefined : Math.max(...times);
}
