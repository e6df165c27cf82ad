import { workflowInfo } from '@temporalio/workflow';
import type {
  BroughtBack,
  Dependent,
  EcsDependent,
  EcsUndoing,
  KubernetesDependent,
  Workload,
} from '../rotation/dependents';
import { secretPlace, workloadPlace } from '../rotation/dependents';
import { isInForce } from './changes';
import type { StepActivities } from './saga/activities';
import { all } from './saga/parts';
import type { RotationContext } from './saga/step';
import type { Slots } from './slots';

/** How a version is brought to a dependent. */
interface Delivery {
  context: RotationContext;
  activities: StepActivities;
  versionId: string;
  /** For its restarts. */
  slots: Slots;
  /** For how long an activity is begun again, in milliseconds; as long as the step is tried when absent. */
  patienceMs?: number;
}

/** Brings a version to a dependent, and sees its workloads available with it. */
export async function deliverTo(dependent: Dependent, delivery: Delivery): Promise<void> {
  switch (dependent.kind) {
    case 'http':
      return;
    case 'kubernetes':
      return deliverToKubernetes(dependent, delivery);
    case 'ecs':
      return all(dependent.services.map((service) => deliverToEcs(dependent, service, delivery)));
  }
}

/** ECS cannot tell one deployment from another for the same version: one that is done must not be asked for again. */
async function deliverToEcs(dependent: EcsDependent, service: string, delivery: Delivery): Promise<void> {
  const { context, activities, versionId, slots, patienceMs } = delivery;
  const { since, done } = context.ecs;
  const asked = `${dependent.cluster}/${service} ${versionId}`;
  if (done.includes(asked) && isInForce('what-is-deployed-stays-deployed')) return;
  const { deployToEcs } = activities.waitLong(dependent.timeoutMs, patienceMs);
  await slots.run(async () => {
    const isAgain = since[asked] !== undefined;
    const about = { since: (since[asked] ??= Date.now()), undoing: undoingInEcs(versionId, context) };
    const deployed = await deployToEcs({ versionId, dependent, service, ...about, ...(isAgain && { isAgain }) });
    if (deployed?.gone) warnOnce(context, serviceGoneInWords(dependent, service));
  });
  done.push(asked);
}

async function deliverToKubernetes(dependent: KubernetesDependent, delivery: Delivery): Promise<void> {
  const { context, activities, versionId, slots, patienceMs } = delivery;
  const { workloads, restart, syncTimeoutMs, timeoutMs } = dependent;
  const back = broughtBack(dependent, versionId, context);
  const seen = { resourceVersion: context.kubernetes.resourceVersions[secretPlace(dependent)] };
  const { syncToKubernetes } = activities.waitLong(syncTimeoutMs, patienceMs);
  const sync = await syncToKubernetes({ versionId, dependent, back, seen });
  // No pod can have started with anything else.
  if (restart === 'none' || (back?.undoes !== undefined && sync?.untouched)) return;
  const { changedAt: known } = context.kubernetes;
  const arrival = `${secretPlace(dependent)} ${versionId}`;
  // Where it came earlier, what the Secret says now may be the time of something else that was written.
  const changedAt = sync?.came ? sync.changedAt : (known[arrival] ?? sync?.changedAt);
  if (changedAt !== undefined) known[arrival] = changedAt;
  const about = { back: back?.onceMore ? { onceMore: { ...back.onceMore, came: sync?.came } } : back, changedAt };
  const { restartWorkload } = activities.waitLong(timeoutMs, patienceMs);
  const restartOne = async (workload: Workload) => {
    // Where the Secret did not change, whoever restarts it otherwise had no reason to.
    const isNew = back === undefined && sync?.came;
    const revision = isNew ? context.kubernetes.revisions[workloadPlace(dependent, workload)] : undefined;
    const more = { ...about, seen: { ...seen, revision } };
    const restarted = await restartWorkload({ versionId, dependent, workload, ...more });
    if (restarted?.gone) warnOnce(context, goneInWords(dependent, workload));
  };
  await all(workloads.map((workload) => slots.run(() => restartOne(workload))));
}

/** What has to be said with a version that was AWSCURRENT when the rotation began. */
function broughtBack(
  dependent: KubernetesDependent,
  versionId: string,
  { candidate, found, kubernetes }: RotationContext,
): BroughtBack | undefined {
  if (versionId !== found.labels.current) return undefined;
  const { firstExecutionRunId } = workflowInfo();
  const resourceVersion = kubernetes.resourceVersions[secretPlace(dependent)];
  if (versionId === candidate) return { onceMore: { by: firstExecutionRunId, seen: resourceVersion } };
  return {
    undoes: candidate,
    // AWSPREVIOUS, or a version that AWS named, is the same when it is tried again.
    ...(candidate !== firstExecutionRunId && { undoneBy: firstExecutionRunId }),
    resourceVersion,
  };
}

function goneInWords({ namespace }: KubernetesDependent, { kind, name }: Workload): string {
  return `There is no ${kind} ${namespace}/${name} any more, so that it was not given the old version again.`;
}

/** What has to be said with a version by which the delivery of the candidate is undone. */
function undoingInEcs(versionId: string, { candidate, found }: RotationContext): EcsUndoing | undefined {
  if (versionId === candidate || versionId !== found.labels.current) return undefined;
  return { rotationBegan: workflowInfo().startTime.getTime() };
}

function serviceGoneInWords({ cluster }: EcsDependent, service: string): string {
  return `There is no service ${service} of the ECS cluster ${cluster} any more, so that it was not given the old version again.`;
}

/** A compensation may be tried many times. */
function warnOnce({ warnings }: RotationContext, warning: string): void {
  if (!warnings.includes(warning)) warnings.push(warning);
}
