import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import type { KubernetesDependent, Workload } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { ObjectName } from './objects';
import { WORKLOADS } from './objects';
import { Refusal, isConflict } from './refusals';
import { isRestartMark, restartAnnotation, restartMarkOf } from './restart-mark';
import type { WorkloadObject } from './rollout-state';
import { restartHindrance, rolloutState } from './rollout-state';
import { endOfWait } from './waiting';
import { watchUntil } from './watch';

/**
 * Has a workload's pods started anew for a version, once however often it is called, and waits until all of them are available.
 *
 * The annotation that does it is of its own for each secret, so that rotations of several secrets of one workload do not undo each
 * other's. An Argo Rollout is restarted by its own `restartAt`, which replaces the pods without walking through a canary's steps.
 *
 * @param restart for which secret, by its ID in Secrets Manager, and the mark that says for which version of it. `isAnyOfVersion`: a mark
 * that says more than that counts as well.
 * @throws RolloutFailed when there is no such workload, when something stands in the way, when somebody else changes its template
 * meanwhile, or when time runs out.
 */
export async function restartByAnnotation(
  cluster: Cluster,
  dependent: KubernetesDependent,
  workload: Workload,
  { secretId, mark, isAnyOfVersion = false }: { secretId: string; mark: string; isAnyOfVersion?: boolean },
): Promise<void> {
  let end = endOfWait(dependent.timeoutMs);
  const target = workloadTarget(cluster, dependent, workload);
  const isMarked = (seen: WorkloadObject) => {
    const found = restartMarkOf(workload, seen, dependent.secret, secretId);
    return found === mark || (isAnyOfVersion && found?.startsWith(`${mark}.`) === true);
  };
  let state = await seeRestartable(cluster, dependent, workload);
  if (!isMarked(state)) {
    const annotations = { [restartAnnotation(dependent.secret, secretId)]: mark };
    state = await target.patch(restartPatch(workload, state, annotations));
    // However late it begins: no attempt before this one has used up its time.
    end = Date.now() + dependent.timeoutMs;
  }
  if (dependent.waitFor === 'synced') return;
  await waitForRollout(cluster, target, end, dependent.timeoutMs, {
    state,
    wasTakenBack: (seen) => !isMarked(seen),
  });
}

/** @throws RolloutFailed when there is no such workload, or when a restart would not replace its pods. */
export async function seeRestartable(
  cluster: Cluster,
  dependent: KubernetesDependent,
  workload: Workload,
): Promise<WorkloadObject> {
  const target = workloadTarget(cluster, dependent, workload);
  const state = await target.read();
  const hindrance = restartHindrance(workload.kind, state);
  if (hindrance !== undefined) throw target.failed(`${hindrance}. It was not restarted.`);
  return state;
}

/** A workload as messages call it, with its calls. */
export interface WorkloadTarget {
  workload: Workload;
  name: ObjectName;
  called: string;
  read(): Promise<WorkloadObject>;
  patch(patch: object): Promise<WorkloadObject>;
  /** A RolloutFailed that names the workload. */
  failed(why: string): Error;
}

export function workloadTarget(
  cluster: Cluster,
  { namespace }: KubernetesDependent,
  workload: Workload,
): WorkloadTarget {
  const name = { resource: WORKLOADS[workload.kind], namespace, name: workload.name };
  const called = `The ${workload.kind} ${namespace}/${workload.name} in ${cluster.name}`;
  const failed = (why: string) => failure(Cause.RolloutFailed, `${called}: ${why}`);
  return {
    workload,
    name,
    called,
    failed,
    async read() {
      return (await cluster.read<WorkloadObject>(name)) ?? fail(failed(MISSING));
    },
    async patch(patch) {
      try {
        return await cluster.patch<WorkloadObject>(name, patch);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.status === 404) throw failed(MISSING);
        if (isConflict(error)) {
          const why = `others write it at the same time (${error.message}). It was not restarted; that is tried again.`;
          throw failure(Cause.TargetBusy, `${called}: ${why}`);
        }
        throw failed(`the restart is refused with ${error.code}: ${error.message}. It was not restarted.`);
      }
    },
  };
}

const TAKEN_BACK =
  'somebody took its restart back (kubectl rollout undo?), or restarted it for another version, so that its pods may hold an old one. That was left as it is. Rotate again.';

const MISSING =
  'there is no such workload. Nothing was restarted. Create it; or correct the catalog, which counts from the next rotation on.';

/**
 * Waits until every pod is of the present template and available.
 *
 * @param restarted the workload as the restart left it, when it was Keyturn that restarted it: somebody else's change of the template is
 * then seen, and that the restart was taken back.
 */
export async function waitForRollout(
  cluster: Cluster,
  target: WorkloadTarget,
  end: number,
  limitMs: number,
  restarted?: { state: WorkloadObject; wasTakenBack(seen: WorkloadObject): boolean },
): Promise<void> {
  let seen = 'nothing was seen of it';
  const foreignChange = restarted ? whatWasChanged(restarted.state) : () => undefined;
  const isLast = (state: WorkloadObject | undefined) => {
    if (!state) throw target.failed('it was deleted while its pods were restarted.');
    const change = foreignChange(state);
    if (change !== undefined) throw target.failed(change);
    if (restarted?.wasTakenBack(state)) throw target.failed(TAKEN_BACK);
    const rollout = rolloutState(target.workload.kind, state);
    if (rollout.is === 'stuck') throw target.failed(`${rollout.why}.`);
    if (rollout.is === 'waiting') seen = rollout.seen;
    return rollout.is === 'done';
  };
  if (await watchUntil(cluster, target.name, end, isLast, restarted?.state)) return;
  throw target.failed(
    `its pods were not all available within ${formatDuration(limitMs)}; last seen: ${seen}. Look at its pods (kubectl describe).`,
  );
}

function restartPatch({ kind }: Workload, state: WorkloadObject, annotations: Record<string, string>): object {
  if (kind !== 'Rollout') return { spec: { template: { metadata: { annotations } } } };
  return { metadata: { annotations }, spec: { restartAt: restartTime(Date.now(), state) } };
}

/** Argo Rollouts replaces pods whose second of creation is before `restartAt`: the next second also replaces those of this one. */
function restartTime(now: number, { spec: { restartAt } }: WorkloadObject): string {
  const earlier = restartAt === undefined ? 0 : Date.parse(restartAt);
  const time = Math.max(Math.floor(now / 1_000) * 1_000, earlier) + 1_000;
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Compares with the template that the restart left. Restarts for other secrets are no foreign change. */
function whatWasChanged(restarted: WorkloadObject): (state: WorkloadObject) => string | undefined {
  const before = templateOf(restarted);
  const { generation } = restarted.metadata;
  return (state) => {
    if (templateOf(state) === before) return undefined;
    return (
      `somebody else changed its pod template while its pods were restarted (generation ${generation} became ${state.metadata.generation}), ` +
      'so that it cannot be told whose pods are seen. The change was left as it is. Rotate again when the other rollout is over.'
    );
  };
}

function templateOf({ spec: { template } }: WorkloadObject): string {
  const { annotations = {}, ...metadata } = template?.metadata ?? {};
  const kept = Object.entries(annotations).filter(([name]) => !isRestartMark(name));
  return JSON.stringify({ ...template, metadata: { ...metadata, annotations: kept } });
}

function fail(error: Error): never {
  throw error;
}
