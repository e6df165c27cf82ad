import { patched } from '@temporalio/workflow';

/** Of runs that began when all of today's changes were there. */
const ALL_UNTIL_NOW = 'all-changes-of-2026';

/**
 * Notes in the first workflow task of a run that all changes are in force in it. To be called before anything is waited for.
 *
 * The marker of a change must not follow a local activity: a workflow task that has to answer a query meanwhile is completed with the local
 * activity's own marker, and what comes next is in the task after it. A replay takes both for one task, and looks for the markers of changes
 * in the first, so that `patched` says no where it said yes.
 */
export function noteChanges(): void {
  patched(ALL_UNTIL_NOW);
}

/**
 * Whether a change of a workflow is in force in this run. In place of `patched`, see {@link noteChanges}.
 *
 * @param change its ID in histories of runs that began before; never change one.
 */
export function isInForce(change: string): boolean {
  return patched(ALL_UNTIL_NOW) || patched(change);
}
