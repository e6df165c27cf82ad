import { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import type { BroughtBack, KubernetesDependent, SeenBefore, Workload } from '../../../rotation/dependents';
import { workloadPlace } from '../../../rotation/dependents';
import { protect } from '../../boundary/activity-scope';
import { secretPartsOf } from '../../secrets-manager/secret-parts';
import { seeAvailable } from './availability';
import { connectedClusters } from './cluster';
import type { Cluster } from './cluster';
import { findSyncSource } from './external-secret';
import { SECRETS, WORKLOADS } from './objects';
import type { SecretObject } from './objects';
import { sinceRunBegan } from './once-more';
import { pushToSecret } from './push';
import { waitForReloader } from './reloader';
import { revisionOf } from './revision';
import { seePermitted } from './rights';
import { restartByAnnotation, seeRestartable, workloadTarget } from './rollout';
import type { WorkloadObject } from './rollout-state';
import { expectedKeys } from './secret-digest';
import type { ExpectedKeys } from './secret-digest';
import { syncByOperator } from './sync';
import type { SyncResult } from './sync-result';

export interface RestartResult {
  /** There is no such workload any more, so that nothing is left to take a version back from. */
  gone: boolean;
}

/** What has to be known besides the version that is brought. */
export interface SyncAbout {
  /** Absent for a version that is new to the dependent. */
  back?: BroughtBack;
  /** Tells whether a version that is new may have come already. */
  seen?: SeenBefore;
  /** Reads the value of the version that is taken back; `push` asks for it when the way back is refused. */
  findUndone?(): Promise<string | undefined>;
}

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
   * @param mustBeAvailable whether the workloads whose restart will be waited for have to be available already.
   * @returns the Secret's resourceVersion, when it is there; the revisions of the workloads that somebody else restarts, by `workloadPlace`.
   * @throws NotSynced, RolloutFailed and PermissionDenied with what is missing; to be tried again, DependentUnhealthy for a workload that
   * is not available yet.
   */
  look(
    dependent: KubernetesDependent,
    mustBeAvailable: boolean,
  ): Promise<{ resourceVersion?: string; revisions: Record<string, string> }>;
  /**
   * Gets a version into the dependent's Secret and waits until the Secret holds it, for `syncTimeoutMs`.
   *
   * @param text the version's value; compared by digest, and passed on only by `push`.
   * @throws NotSynced with the reason that the operator gives, SecretUnusable when the value lacks a mapped field.
   */
  sync(dependent: KubernetesDependent, versionId: string, text: string, about?: SyncAbout): Promise<SyncResult>;
  /**
   * Has a workload's pods started anew for a version, and waits until they are available, for `timeoutMs`. Called again for the same
   * version it restarts nothing. With `restart: reloader` somebody else restarts them, and it only waits; with `waitFor: synced` it does
   * not wait; with `restart: none` it does nothing.
   *
   * @param about `secretId`: whose version it is, in Secrets Manager. `undoes`: the version that is taken back. The restart is then one of
   * its own, and of its own for each rotation that takes it back (`undoneBy`), because pods may have started with that one after the Secret
   * had changed; a workload that is gone is no failure, and NotRestarted says that nobody else's restart came. `onceMore`: the run that
   * brings AWSCURRENT once more; where the Secret had lost it, the restart is that run's own. For `restart: reloader` `changedAt`: when the
   * Secret got the version, and `seen`: what it has to differ from.
   * @throws RolloutFailed with the condition that stands in the way, NotRestarted.
   */
  restart(
    dependent: KubernetesDependent,
    workload: Workload,
    versionId: string,
    about: Restarted & { secretId: string; changedAt?: number; seen?: SeenBefore },
  ): Promise<RestartResult>;
}

type Restarted = Pick<BroughtBack, 'undoes' | 'undoneBy' | 'onceMore'>;

/** The clusters of the worker's kubeconfig, or the one that it runs in. Nothing is connected before it is needed. */
export function createKubernetesClusters(): KubernetesClusters {
  const clusterOf = connectedClusters();
  return {
    async look(dependent, mustBeAvailable) {
      const cluster = await clusterOf(dependent.context);
      const source = dependent.sync === 'push' ? undefined : await findSyncSource(cluster, dependent);
      const restarted = dependent.restart === 'none' ? [] : dependent.workloads;
      const states = await Promise.all(restarted.map((workload) => seeRestartable(cluster, dependent, workload)));
      await seePermitted(cluster, dependent, source?.externalSecret);
      if (mustBeAvailable && dependent.waitFor === 'available') {
        restarted.forEach((workload, n) => seeAvailable(workloadTarget(cluster, dependent, workload), states[n]));
      }
      const { namespace, secret: name } = dependent;
      const secret = await cluster.read<SecretObject>({ resource: SECRETS, namespace, name }, 'metadata');
      return { resourceVersion: secret?.metadata.resourceVersion, revisions: revisionsOf(dependent, states) };
    },
    async sync(dependent, versionId, text, about = {}) {
      protect(text, secretPartsOf(text)?.parts);
      const cluster = await clusterOf(dependent.context);
      const result = await bring(cluster, dependent, versionId, text, about);
      const onceMore = about.back?.onceMore;
      return onceMore ? sinceRunBegan(cluster, dependent, result, onceMore) : result;
    },
    async restart(dependent, workload, versionId, { secretId, undoes, undoneBy, onceMore, changedAt, seen }) {
      if (dependent.restart === 'none') return { gone: false };
      const cluster = await clusterOf(dependent.context);
      try {
        if (dependent.restart === 'reloader') {
          await waitForReloader(cluster, dependent, workload, { changedAt, seen, isUndoing: undoes !== undefined });
        } else {
          const mark = restartMark(versionId, { undoes, undoneBy, onceMore });
          const isAnyOfVersion = onceMore?.came === false;
          await restartByAnnotation(cluster, dependent, workload, { secretId, mark, isAnyOfVersion });
        }
        return { gone: false };
      } catch (error) {
        const mayBeGone = error instanceof ApplicationFailure && GONE_CAUSES.has(error.type);
        if (undoes !== undefined && mayBeGone && (await isGone(cluster, dependent, workload))) return { gone: true };
        throw error;
      }
    },
  };
}

/** Of workloads that somebody else restarts, whose restart has to be told from other changes. */
function revisionsOf(dependent: KubernetesDependent, states: WorkloadObject[]): Record<string, string> {
  if (dependent.restart !== 'reloader') return {};
  const revisions = dependent.workloads.map((workload, n): [string, string | undefined] => {
    const state = states[n];
    return [workloadPlace(dependent, workload), state && revisionOf(workload.kind, state)];
  });
  return Object.fromEntries(revisions.filter((known): known is [string, string] => known[1] !== undefined));
}

function bring(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
  text: string,
  { back, seen, findUndone }: SyncAbout,
): Promise<SyncResult> {
  if (dependent.sync === 'push') {
    const pushed = {
      expected: () => expectedKeys(dependent, versionId, text),
      undone: () => undoneKeys(dependent, back?.undoes ?? '', findUndone),
    };
    return pushToSecret(cluster, dependent, pushed, back);
  }
  const expected = comparableKeys(dependent, versionId, text, back);
  return syncByOperator(cluster, dependent, versionId, expected, { back, seen });
}

/**
 * What the mapped keys must hold; `undefined` where that cannot be compared: what a template makes of a version, and a version that is
 * brought back and lacks a mapped field. The one that is taken back will have lacked it too.
 */
function comparableKeys(
  dependent: KubernetesDependent,
  versionId: string,
  text: string,
  back: BroughtBack | undefined,
): ExpectedKeys | undefined {
  if (dependent.expect === 'any-change') return undefined;
  try {
    return expectedKeys(dependent, versionId, text);
  } catch (error) {
    const isUnusable = error instanceof ApplicationFailure && error.type === Cause.SecretUnusable;
    if (isUnusable && back?.undoes !== undefined) return undefined;
    throw error;
  }
}

/** What a version that is taken back would have put into the mapped keys; `undefined` when there is no such version. */
async function undoneKeys(
  dependent: KubernetesDependent,
  versionId: string,
  find: () => Promise<string | undefined> = () => Promise.resolve(undefined),
): Promise<ExpectedKeys | undefined> {
  try {
    const text = await find();
    if (text === undefined) return undefined;
    protect(text, secretPartsOf(text)?.parts);
    return expectedKeys(dependent, versionId, text);
  } catch (error) {
    // What cannot be mapped was never written.
    if (error instanceof ApplicationFailure && error.type === Cause.SecretUnusable) return new Map();
    throw error;
  }
}

/** A mark that is there already restarts nothing: only what is called again for the same reason may find it. */
function restartMark(versionId: string, { undoes, undoneBy, onceMore }: Restarted): string {
  if (onceMore?.came) return [versionId, 'by', onceMore.by].join('.');
  if (undoes === undefined) return versionId;
  return [versionId, 'after', undoes, ...(undoneBy === undefined ? [] : ['by', undoneBy])].join('.');
}

const GONE_CAUSES: ReadonlySet<string | null | undefined> = new Set([Cause.RolloutFailed, Cause.NotRestarted]);

async function isGone(
  cluster: Cluster,
  { namespace }: KubernetesDependent,
  { kind, name }: Workload,
): Promise<boolean> {
  return (await cluster.read({ resource: WORKLOADS[kind], namespace, name }, 'metadata')) === undefined;
}
