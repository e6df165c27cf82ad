import { patched } from '@temporalio/workflow';

/**
 * The changes of workflows that runs of before must not see, by the set that is noted when a run begins. A set that was released is
 * closed: a run that notes it knows nothing of what comes later, so that the next change begins a set of its own.
 */
const SETS = {
  'all-changes-of-2026': [
    'a-fleet-is-told-of-long-pauses',
    'a-later-end-needs-no-waking',
    'a-refusal-without-a-plan-is-told',
    'a-review-that-nobody-heard-of-is-owed',
    'a-version-brought-counts',
    'an-emergency-ends-earlier-sessions',
    'an-emergency-ends-what-is-in-the-way',
    'an-emergency-that-gives-up-is-told',
    'metrics-count-uses',
    'people-are-told-of-a-fleets-end',
    'requests-are-recorded-in-batches',
    'undoing-in-order-goes-on-after-a-failure',
    'what-is-in-the-way-is-kept-apart',
    'what-is-the-same-is-delivered-again',
  ],
  'all-changes-of-late-2026': [
    'a-broken-catalog-is-told-once-a-day',
    'a-failed-sync-stops-restarts',
    'a-refusal-of-one-secret-stops-no-other',
    'a-restore-is-started-by-restores-alone',
    'a-restore-undone-goes-back-to-its-way-in',
    'a-review-waits-until-somebody-has-heard',
    'an-emergency-gives-up-by-target-only',
    'an-emergency-waits-for-no-fleet',
    'people-are-told-by-workflows-alone',
    'refusals-before-a-rotation-are-told',
    'that-nothing-is-overdue-is-told',
    'undoing-waits-for-no-other-dependent',
    'what-is-deployed-stays-deployed',
  ],
} as const;

type Change = (typeof SETS)[keyof typeof SETS][number];

/**
 * Notes in the first workflow task of a run which changes are in force in it. To be called before anything is waited for.
 *
 * The marker of a change must not follow a local activity: a workflow task that has to answer a query meanwhile is completed with the local
 * activity's own marker, and what comes next is in the task after it. A replay takes both for one task, and looks for the markers of changes
 * in the first, so that `patched` says no where it said yes.
 */
export function noteChanges(): void {
  for (const set of Object.keys(SETS)) patched(set);
}

/**
 * Whether a change of a workflow is in force in this run. In place of `patched`, see {@link noteChanges}.
 *
 * @param change its ID, which is also its marker in histories of runs that began before there were sets; never change one.
 */
export function isInForce(change: Change): boolean {
  const [set = change] = Object.entries<readonly Change[]>(SETS).find(([, changes]) => changes.includes(change)) ?? [];
  return patched(set) || patched(change);
}
