import type { WorkloadKind } from '../../../rotation/dependents';
import type { Condition } from './external-secret';
import type { KubernetesObject } from './objects';
import { FIELD_MANAGER, writtenAt } from './objects';
import { tidy } from './refusals';

/** What is read of a workload, whatever its kind (Kubernetes API reference, 'Workload Resources'; Argo Rollouts' `Rollout`). */
export interface WorkloadObject extends KubernetesObject {
  spec: {
    replicas?: number;
    paused?: boolean;
    /** Seconds; of a Deployment. */
    progressDeadlineSeconds?: number;
    /** Argo Rollouts: pods older than this are replaced. */
    restartAt?: string;
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } };
    template?: { metadata?: { annotations?: Record<string, string> } };
  };
  status?: WorkloadStatus;
}

interface WorkloadStatus {
  /** Text with Argo Rollouts. */
  observedGeneration?: number | string;
  conditions?: (Condition & { lastUpdateTime?: string })[];
  replicas?: number;
  updatedReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
  desiredNumberScheduled?: number;
  updatedNumberScheduled?: number;
  numberAvailable?: number;
  numberUnavailable?: number;
  phase?: string;
  message?: string;
  restartedAt?: string;
}

/** How far a rollout is, in words: what is still missing, or what stands in its way. */
export type RolloutState = { is: 'done' } | { is: 'waiting'; seen: string } | { is: 'stuck'; why: string };

/** Kubernetes API reference, 'DeploymentSpec'. */
const DEFAULT_PROGRESS_DEADLINE_S = 600;

const DONE: RolloutState = { is: 'done' };
const waiting = (seen: string): RolloutState => ({ is: 'waiting', seen });
const stuck = (why: string): RolloutState => ({ is: 'stuck', why });

const STATES: Record<WorkloadKind, (workload: WorkloadObject, status: WorkloadStatus) => RolloutState> = {
  Deployment: deploymentState,
  StatefulSet: statefulSetState,
  DaemonSet: daemonSetState,
  Rollout: argoRolloutState,
};

/** Whether every pod of a workload is of its present template and available; by the rules of `kubectl rollout status`. */
export function rolloutState(kind: WorkloadKind, workload: WorkloadObject): RolloutState {
  const hindrance = restartHindrance(kind, workload);
  if (hindrance !== undefined) return stuck(hindrance);
  return STATES[kind](workload, workload.status ?? {});
}

/** Why a restart of a workload would not replace all of its pods; `undefined` when it would. */
export function restartHindrance(kind: WorkloadKind, { spec }: WorkloadObject): string | undefined {
  if (spec.paused) {
    const resume = kind === 'Rollout' ? 'kubectl argo rollouts resume' : 'kubectl rollout resume';
    return `it is paused. Resume it (${resume})`;
  }
  if (kind !== 'StatefulSet' && kind !== 'DaemonSet') return undefined;
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  if (type === 'OnDelete') {
    return 'its updateStrategy is OnDelete, so its pods stay until somebody deletes them. Set RollingUpdate, or restart: none';
  }
  const partition = rollingUpdate?.partition ?? 0;
  return kind === 'StatefulSet' && partition > 0
    ? `its updateStrategy has the partition ${partition}, so the pods below that number stay as they are. Set it to 0`
    : undefined;
}

function deploymentState(workload: WorkloadObject, status: WorkloadStatus): RolloutState {
  if (!isObserved(workload, status)) return waiting('the Deployment controller has not seen the change yet');
  const seen = counts(workload, status) + whyNoPods(status);
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded' && !isOlderThanRestart(progressing.lastUpdateTime, workload)) {
    return stuck(`ProgressDeadlineExceeded: ${progressing.message ?? 'no message'} (${seen})`);
  }
  const wanted = workload.spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0, unavailableReplicas = 0 } = status;
  const isDone =
    updatedReplicas >= wanted &&
    replicas <= updatedReplicas &&
    availableReplicas >= updatedReplicas &&
    unavailableReplicas === 0;
  return isDone ? DONE : waiting(seen);
}

function statefulSetState(workload: WorkloadObject, status: WorkloadStatus): RolloutState {
  if (!isObserved(workload, status)) return waiting('the StatefulSet controller has not seen the change yet');
  const wanted = workload.spec.replicas ?? 1;
  const { updatedReplicas = 0, availableReplicas = 0, currentRevision, updateRevision } = status;
  const isDone = currentRevision === updateRevision && updatedReplicas >= wanted && availableReplicas >= wanted;
  return isDone ? DONE : waiting(counts(workload, status));
}

function daemonSetState(workload: WorkloadObject, status: WorkloadStatus): RolloutState {
  if (!isObserved(workload, status)) return waiting('the DaemonSet controller has not seen the change yet');
  const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  const { numberUnavailable = 0 } = status;
  if (updatedNumberScheduled >= wanted && numberAvailable >= wanted && numberUnavailable === 0) return DONE;
  return waiting(
    `of ${wanted} pods ${updatedNumberScheduled} are updated and ${numberAvailable} available, ${numberUnavailable} unavailable`,
  );
}

const AT_REST: ReadonlySet<string> = new Set(['Healthy', 'Paused', 'Degraded']);

/**
 * A restart is done when the controller says that it has replaced every pod older than `restartAt` (Argo Rollouts, 'Restarting Rollout
 * Pods'). A canary on its way does not stand in its way, so that the phase may be Paused; nor does one that was given up before the restart,
 * which leaves the phase Degraded for good.
 */
function argoRolloutState(workload: WorkloadObject, status: WorkloadStatus): RolloutState {
  const { phase = 'of no known phase', message, restartedAt, availableReplicas = 0 } = status;
  if (!isObserved(workload, status)) return waiting('Argo Rollouts has not seen the change yet');
  const told = `the Rollout is ${phase}${message ? ` (${message})` : ''}`;
  const { restartAt, replicas: wanted = 1 } = workload.spec;
  if (phase === 'Degraded' && !wasDegradedBeforeRestart(workload, status)) return stuck(told);
  const isRestarted = restartAt === undefined || Date.parse(restartedAt ?? '') >= Date.parse(restartAt);
  if (!isRestarted) return waiting(`${told}, and not all of its pods are newer than restartAt ${restartAt}`);
  const isDone = availableReplicas >= wanted && AT_REST.has(phase);
  return isDone ? DONE : waiting(`${told}; of ${wanted} pods ${availableReplicas} are available`);
}

function isObserved({ metadata }: WorkloadObject, { observedGeneration }: WorkloadStatus): boolean {
  return Number(observedGeneration ?? 0) >= (metadata.generation ?? 0);
}

/** The reasons for which Argo Rollouts calls a Rollout Degraded, besides a spec that it does not act on (its CalculateRolloutPhase). */
const DEGRADING: ReadonlySet<string | undefined> = new Set(['RolloutAborted', 'ProgressDeadlineExceeded']);

/** False where that is not known. */
function wasDegradedBeforeRestart(workload: WorkloadObject, { conditions = [] }: WorkloadStatus): boolean {
  const restartedAt = writtenAt(workload, ['spec', 'restartAt']) ?? Date.parse(workload.spec.restartAt ?? '');
  const reasons = conditions.filter(({ reason }) => DEGRADING.has(reason));
  if (reasons.length === 0 || conditions.some(({ type }) => type === 'InvalidSpec')) return false;
  return reasons.every(({ lastUpdateTime = '' }) => Date.parse(lastUpdateTime) <= restartedAt);
}

/**
 * The Deployment controller leaves a condition of the rollout before until it sees progress, although it has seen the new template: a
 * rollback to an earlier template makes no new ReplicaSet, and so no progress at first. A condition of this rollout comes a whole
 * deadline after the restart at the earliest; half of one leaves room for the clocks of API server and controller, and for whole seconds.
 */
function isOlderThanRestart(conditionTime: string | undefined, workload: WorkloadObject): boolean {
  const restartedAt = writtenAt(workload, ['spec', 'template'], (manager) => manager === FIELD_MANAGER);
  const { progressDeadlineSeconds = DEFAULT_PROGRESS_DEADLINE_S } = workload.spec;
  return restartedAt !== undefined && Date.parse(conditionTime ?? '') < restartedAt + progressDeadlineSeconds * 500;
}

function counts({ spec }: WorkloadObject, status: WorkloadStatus): string {
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
  const old = Math.max(0, replicas - updatedReplicas);
  return `of ${spec.replicas ?? 1} pods ${updatedReplicas} are updated, ${availableReplicas} are available and ${old} old ones are left`;
}

/** What refuses the pods of a Deployment: a quota, a webhook, a missing ServiceAccount. */
function whyNoPods({ conditions = [] }: WorkloadStatus): string {
  const refused = conditions.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  return refused ? `; pods cannot be made: ${tidy(refused.message ?? refused.reason ?? 'no message')}` : '';
}
