import type { WorkloadKind } from '../../../rotation/dependents';
import type { WorkloadObject } from './rollout-state';

const annotation =
  (name: string) =>
  ({ metadata }: WorkloadObject): string | undefined =>
    metadata.annotations?.[name];

const argoRevision = annotation('rollout.argoproj.io/revision');

const REVISIONS: Record<WorkloadKind, (workload: WorkloadObject) => string | undefined> = {
  Deployment: annotation('deployment.kubernetes.io/revision'),
  StatefulSet: ({ status }) => status?.updateRevision,
  DaemonSet: annotation('deprecated.daemonset.template.generation'),
  // Pods are also replaced by restartAt, with the template as it is.
  Rollout: (workload) => [argoRevision(workload), workload.spec.restartAt].filter(Boolean).join(' ') || undefined,
};

/**
 * What tells a workload's pod template from the one before, by its controller, and says nothing of what is in it. When a template was
 * written cannot be told as exactly: the API server notes one time for all that a writer has written.
 *
 * @returns `undefined` where the controller has not said it.
 */
export function revisionOf(kind: WorkloadKind, workload: WorkloadObject): string | undefined {
  return REVISIONS[kind](workload);
}
