import { Cause } from '../../../rotation/errors';
import { failure } from '../../failures';
import type { WorkloadTarget } from './rollout';
import type { WorkloadObject } from './rollout-state';
import { rolloutState } from './rollout-state';

const WHY =
  'Nothing was changed: its restart would not end in time, and neither would the way back. Put it in order first (kubectl describe), or rotate as an emergency, which does not look at that.';

/**
 * Sees that all pods of a workload are available before a rotation begins.
 *
 * @throws RolloutFailed when it will not become available by itself; DependentUnhealthy, to be tried again, when it may.
 */
export function seeAvailable({ workload, called, failed }: WorkloadTarget, state: WorkloadObject | undefined): void {
  const rollout = state && rolloutState(workload.kind, state);
  if (rollout?.is === 'stuck') throw failed(`it is not available already before the rotation: ${rollout.why}. ${WHY}`);
  if (rollout?.is !== 'waiting') return;
  throw failure(
    Cause.DependentUnhealthy,
    `${called}: it is not available already before the rotation: ${rollout.seen}. ${WHY}`,
  );
}
