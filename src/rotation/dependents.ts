/** What uses a secret and must be seen working with the new version. Times are milliseconds. */
export type Dependent = HttpDependent | KubernetesDependent | EcsDependent;

/** A workload whose health is checked over HTTP. */
export interface HttpDependent {
  kind: 'http';
  name: string;
  /** Answers `expectStatus` when the workload is healthy. */
  healthUrl: string;
  expectStatus: number;
  /** How long the workload may take to become healthy. */
  timeoutMs: number;
}

export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'] as const;
/** `Rollout` is Argo Rollouts'. */
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

export interface Workload {
  kind: WorkloadKind;
  name: string;
}

/**
 * How a version gets into a Kubernetes Secret: External Secrets Operator syncs it (`external-secret`, `cluster-external-secret`), or Keyturn
 * applies its own keys server-side and leaves every other as it is (`push`).
 */
export const SYNC_WAYS = ['external-secret', 'cluster-external-secret', 'push'] as const;
export type SyncWay = (typeof SYNC_WAYS)[number];

/** `rollout`: Keyturn restarts the workloads. `reloader`: Stakater Reloader does. `none`: they re-read their mounted file. */
export const RESTART_WAYS = ['rollout', 'reloader', 'none'] as const;
export type RestartWay = (typeof RESTART_WAYS)[number];

/** One key of a Kubernetes Secret, and what it holds. */
export interface SecretKey {
  key: string;
  /** The field of the JSON secret; its whole text when absent. */
  field?: string;
}

/** A Kubernetes Secret and the workloads that use it. */
export interface KubernetesDependent {
  kind: 'kubernetes';
  name: string;
  /** A context of the kubeconfig; when absent the current one, or the cluster that the worker runs in. */
  context?: string;
  namespace: string;
  sync: SyncWay;
  /** The name of the ExternalSecret or ClusterExternalSecret; absent with `push`. */
  externalSecret?: string;
  /** The name of the Kubernetes Secret. */
  secret: string;
  /** The keys to compare, or with `push` to apply. */
  keys: SecretKey[];
  /** `any-change`: a template makes something else of the value, so that only a change can be seen. */
  expect: 'version' | 'any-change';
  workloads: Workload[];
  restart: RestartWay;
  /** `synced`: the Secret is enough. `available`: the workloads must have been seen available with it. */
  waitFor: 'synced' | 'available';
  /** How long the sync may take. */
  syncTimeoutMs: number;
  /** How long one workload may take to become available. */
  timeoutMs: number;
}

/** Services of Amazon ECS, whose tasks read the secret when they start. */
export interface EcsDependent {
  kind: 'ecs';
  name: string;
  cluster: string;
  services: string[];
  /** How long one service may take to be deployed. */
  timeoutMs: number;
}

/** Said with a version that the services had before, by which a delivery of another one is undone. */
export interface EcsUndoing {
  /** When the rotation began, in milliseconds since the epoch: nothing that is older can have started with the other version. */
  rotationBegan: number;
}

/** How a version is brought to several dependents. */
export interface DeliveryPlan {
  /** One dependent after another, in the catalog's order; all at once otherwise, and when they are taken back. */
  inOrder: boolean;
  /** How many workloads are restarted at once; in each cluster, when they are taken back. */
  maxRestartsAtOnce: number;
}

/**
 * Said with a version that the dependents had before, so that they may have it still or already: one that is delivered again to undo a
 * delivery, or AWSCURRENT once more.
 */
export interface BroughtBack {
  /** The version that is taken back; absent when there is none. */
  undoes?: string;
  /** The rotation that takes it back, by its first run ID; absent when the version is that rotation's own and so tells it already. */
  undoneBy?: string;
  /** The resourceVersion of the Kubernetes Secret before anything was changed. While it is the same, the Secret has never held anything else. */
  resourceVersion?: string;
  /** Of AWSCURRENT once more. */
  onceMore?: OnceMore;
}

/** Said with AWSCURRENT when it is brought once more: a Secret that had lost it makes a restart of its own necessary. */
export interface OnceMore {
  /** The run that brings it, by its first run ID. */
  by: string;
  /** The resourceVersion of the Kubernetes Secret when that run began; absent when there was none, or it is not known. */
  seen?: string;
  /** With a restart: the Secret had lost it. */
  came?: boolean;
}

/** How what a dependent uses was before anything was changed, as far as is known. */
export interface SeenBefore {
  /** The resourceVersion of the Kubernetes Secret. While it is the same, nobody has written it since. */
  resourceVersion?: string;
  /** The revision of the workload's pod template, where a change of the Secret must have made another one. */
  revision?: string;
}

/** Tells one Kubernetes Secret from another; two dependents may share one. */
export function secretPlace({ context = '', namespace, secret }: KubernetesDependent): string {
  return `${context}/${namespace}/${secret}`;
}

/** Tells one workload from another; several dependents may have the same. */
export function workloadPlace({ context = '', namespace }: KubernetesDependent, { kind, name }: Workload): string {
  return `${context}/${namespace}/${kind}/${name}`;
}
