import { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import type { BroughtBack, KubernetesDependent, SeenBefore } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { SyncSource } from './external-secret';
import { askForSync, askedTime, findSyncSource, nextRequest } from './external-secret';
import { heldOtherContent } from './held-meanwhile';
import type { SecretObject } from './objects';
import { SECRETS, changedTime } from './objects';
import type { ExpectedKeys } from './secret-digest';
import { contentDigest, whatIsMissing } from './secret-digest';
import { isUntouched, wasWrittenSince } from './sync-result';
import type { SyncResult } from './sync-result';
import { syncTrouble } from './sync-trouble';
import { isSyncedOnceMore } from './synced-once-more';
import { endOfWait, isLaterAttempt } from './waiting';
import { watchUntil } from './watch';

/** When the Secret has not changed for so long, the operator is asked again: it may have read an older version than is current. */
const ASK_AGAIN_AFTER_MS = { first: 10_000, longest: 60_000 };

/** How long a rollback waits for what an operator may still be writing; one that is down writes nothing. */
const STRAGGLER_MS = 15_000;

/** What is still missing from a state of the Secret, in words; `undefined` when it has what is waited for. */
type Look = (secret: SecretObject | undefined) => string | undefined;

/**
 * Has External Secrets Operator sync a Kubernetes Secret, and waits until the Secret holds the version.
 *
 * @param expected what the mapped keys must hold; absent where that cannot be compared.
 * @param about `back`: absent for a version that is new to the Secret. Otherwise the Secret may hold it already, so that a change cannot be
 * waited for: where nothing can be compared, the operator's word counts that it has synced since it was asked to. `seen`: a Secret that was
 * written since may hold a new version already as well, by the operator's own refresh.
 * @throws NotSynced with what was seen last, and why, when it does not come in time.
 */
export async function syncByOperator(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
  expected: ExpectedKeys | undefined,
  { back, seen }: { back?: BroughtBack; seen?: SeenBefore },
): Promise<SyncResult> {
  const { namespace, secret: name, syncTimeoutMs } = dependent;
  const secret = { resource: SECRETS, namespace, name };
  let end = endOfWait(syncTimeoutMs);
  let before = await cluster.read<SecretObject>(secret);
  let untouched = isUntouched(before, back);
  const isThere = () => (expected ? whatIsMissing(before, expected) === undefined : untouched);
  if (isThere()) {
    if (await hasAskedAgainAfterAnother(cluster, dependent, versionId, back)) {
      const after = await cluster.read<SecretObject>(secret);
      untouched &&= !(await heldOtherContent(cluster, secret, before, after));
      before = after;
      end = Date.now() + syncTimeoutMs;
    }
    if (isThere()) return { untouched, came: false, changedAt: before && changedTime(before) };
  }

  const source = await findSyncSource(cluster, dependent);
  // However late it begins: no attempt before this one has used up its time.
  if (source.asked?.versionId !== versionId) end = Date.now() + syncTimeoutMs;
  const look: Look = expected ? (state) => whatIsMissing(state, expected) : hasChanged(source, versionId, before);
  const mayBeThere = back !== undefined || (wasWrittenSince(seen, before) && look(before) !== undefined);
  let missing: string;
  if (!expected && mayBeThere) {
    if (await isSyncedOnceMore(cluster, source, versionId, end)) {
      const after = await cluster.read<SecretObject>(secret);
      const came = contentDigest(after) !== contentDigest(before);
      const last = came ? after : before;
      return { untouched: false, came, changedAt: last && changedTime(last) };
    }
    missing = 'External Secrets Operator has not synced it since it was asked to';
  } else {
    const sight = await waitForSight(cluster, dependent, versionId, { source, before, look, end });
    if (sight.is === 'there') return { untouched: false, came: true, changedAt: changedTime(sight.state) };
    missing = sight.missing;
  }
  throw failure(
    Cause.NotSynced,
    `The Secret ${namespace}/${name} in ${cluster.name} did not get version ${versionId} within ${formatDuration(syncTimeoutMs)}: ${missing}. ` +
      `${await syncTrouble(cluster, source)} No workload was restarted for it.`,
  );
}

/** Asks for a version, again now and then, and watches the Secret until it is seen there. */
async function waitForSight(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
  { source, before, look, end }: { source: SyncSource; before?: SecretObject; look: Look; end: number },
): Promise<{ is: 'there'; state: SecretObject } | { is: 'missing'; missing: string }> {
  const secret = { resource: SECRETS, namespace: dependent.namespace, name: dependent.secret };
  if (source.asked?.versionId !== versionId) await askForSync(cluster, source, nextRequest(source, versionId));
  let seen = before;
  let missing = look(before);
  for (let patienceMs = ASK_AGAIN_AFTER_MS.first; ;) {
    const patience = Math.min(end, Date.now() + patienceMs);
    const hasArrived = (state: SecretObject | undefined) => {
      seen = state;
      missing = look(state);
      return missing === undefined;
    };
    if ((await watchUntil(cluster, secret, patience, hasArrived, before)) && seen) return { is: 'there', state: seen };
    if (Date.now() >= end) return { is: 'missing', missing: missing ?? 'it was not seen' };
    const again = await findSyncSource(cluster, dependent);
    await askForSync(cluster, again, nextRequest(again, versionId));
    patienceMs = Math.min(patienceMs * 2, ASK_AGAIN_AFTER_MS.longest);
  }
}

/**
 * The Secret holds the version, and the operator was asked for another one, which never came: what it read of that one may still be on
 * its way. Asked once more, it reads AWSCURRENT after that. A version that is brought back waits for it a while, because pods that start
 * between the two would keep the other one; a new one is there because the operator wrote it after whatever it had read before. Where
 * nothing can be asked, or nobody answers, nothing comes either.
 *
 * @returns whether it was asked.
 */
async function hasAskedAgainAfterAnother(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
  back?: BroughtBack,
): Promise<boolean> {
  try {
    const source = await findSyncSource(cluster, dependent);
    const after = source.asked?.versionId;
    if (after === undefined) return false;
    // An attempt before this one asked, and may have ended in the waiting.
    const mayHaveWaited = back !== undefined && source.asked?.after !== undefined && isLaterAttempt();
    if (after === versionId && !mayHaveWaited) return false;
    const end = Date.now() + Math.min(STRAGGLER_MS, dependent.syncTimeoutMs);
    if (back) await isSyncedOnceMore(cluster, source, versionId, end);
    else await askForSync(cluster, source, { versionId, after });
    return true;
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.type !== Cause.NotSynced) throw error;
    return false;
  }
}

/**
 * Whether a template's output has changed since the sync was asked for. The attempt that asks compares the content; one that takes over
 * goes by the times at which the API server wrote both.
 */
function hasChanged(source: SyncSource, versionId: string, before: SecretObject | undefined): Look {
  const askedAt = source.asked?.versionId === versionId ? askedTime(source.found) : undefined;
  const digest = contentDigest(before);
  return (secret) => {
    if (!secret) return 'there is no such Secret';
    if (contentDigest(secret) !== digest) return undefined;
    if (askedAt !== undefined && (changedTime(secret) ?? 0) >= askedAt) return undefined;
    return 'it has not changed since it was asked for';
  };
}
