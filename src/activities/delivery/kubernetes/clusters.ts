import type { KubernetesDependent, Workload } from '../../../rotation/dependents';
import { protect } from '../../boundary/activity-scope';
import { connectedClusters } from './cluster';
import { findSyncSource } from './external-secret';
import { pushToSecret } from './push';
import { waitForReloader } from './reloader';
import { seePermitted } from './rights';
import { restartByAnnotation, seeRestartable } from './rollout';
import { expectedKeys } from './secret-digest';
import { syncByOperator } from './sync';

/**
 * Kubernetes in the words of a delivery. Both wait, and take up the waiting again when they are called again. Besides what is named below
 * both throw PermissionDenied when the worker lacks a right, CatalogInvalid when the context is unknown, TlsRefused when the API server's
 * certificate is not trusted, and, to be tried again, TargetUnavailable and Throttled.
 */
export interface KubernetesClusters {
  /**
   * Looks whether what a delivery needs is there: what syncs the Secret, the workloads, ready to be restarted, and the worker's rights.
   * Nothing is changed.
   *
   * @throws NotSynced, RolloutFailed and PermissionDenied with what is missing.
   */
  look(dependent: KubernetesDependent): Promise<void>;
  /**
   * Gets a version into the dependent's Secret and waits until the Secret holds it, for `syncTimeoutMs`.
   *
   * @param text the version's value; compared by digest, and passed on only by `push`.
   * @throws NotSynced with the reason that the operator gives, SecretUnusable when the value lacks a mapped field.
   */
  sync(dependent: KubernetesDependent, versionId: string, text: string): Promise<void>;
  /**
   * Has a workload's pods started anew for a version, and waits until they are available, for `timeoutMs`. Called again for the same
   * version it restarts nothing. With `restart: reloader` somebody else restarts them, and it only waits; with `waitFor: synced` it does
   * not wait; with `restart: none` it does nothing.
   *
   * @throws RolloutFailed with the condition that stands in the way.
   */
  restart(dependent: KubernetesDependent, workload: Workload, versionId: string): Promise<void>;
}

/** The clusters of the worker's kubeconfig, or the one that it runs in. Nothing is connected before it is needed. */
export function createKubernetesClusters(): KubernetesClusters {
  const clusterOf = connectedClusters();
  return {
    async look(dependent) {
      const cluster = await clusterOf(dependent.context);
      if (dependent.sync !== 'push') await findSyncSource(cluster, dependent);
      const restarted = dependent.restart === 'none' ? [] : dependent.workloads;
      await Promise.all(restarted.map((workload) => seeRestartable(cluster, dependent, workload)));
      await seePermitted(cluster, dependent);
    },
    async sync(dependent, versionId, text) {
      protect(text);
      const cluster = await clusterOf(dependent.context);
      const isSeenByChange = dependent.sync !== 'push' && dependent.expect === 'any-change';
      const expected = isSeenByChange ? new Map() : expectedKeys(dependent, versionId, text);
      if (dependent.sync === 'push') await pushToSecret(cluster, dependent, expected);
      else await syncByOperator(cluster, dependent, versionId, expected);
    },
    async restart(dependent, workload, versionId) {
      if (dependent.restart === 'none') return;
      const cluster = await clusterOf(dependent.context);
      if (dependent.restart === 'reloader') await waitForReloader(cluster, dependent, workload);
      else await restartByAnnotation(cluster, dependent, workload, versionId);
    },
  };
}
