import { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import type { KubernetesDependent } from '../../../rotation/dependents';
import { failure } from '../../failures';
import type { Cluster } from './cluster';
import type { SyncSource } from './external-secret';
import { askForSync, askedTime, findSyncSource } from './external-secret';
import type { KubernetesObject, SecretObject } from './objects';
import { SECRETS, writtenAt } from './objects';
import type { ExpectedKeys } from './secret-digest';
import { contentDigest, whatIsMissing } from './secret-digest';
import { syncTrouble } from './sync-trouble';
import { endOfWait } from './waiting';
import { watchUntil } from './watch';

/** When the Secret has not changed for so long, the operator is asked again: it may have read an older version than is current. */
const ASK_AGAIN_AFTER_MS = { first: 10_000, longest: 60_000 };

/** What is still missing from a state of the Secret, in words; `undefined` when it has what is waited for. */
type Look = (secret: SecretObject | undefined) => string | undefined;

/**
 * Has External Secrets Operator sync a Kubernetes Secret, and waits until the Secret holds the version.
 *
 * @param expected what the mapped keys must hold; not looked at with `expect: any-change`.
 * @throws NotSynced with what was seen last, and why, when it does not come in time.
 */
export async function syncByOperator(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
  expected: ExpectedKeys,
): Promise<void> {
  const { namespace, secret: name, syncTimeoutMs } = dependent;
  const secret = { resource: SECRETS, namespace, name };
  let end = endOfWait(syncTimeoutMs);
  const before = await cluster.read<SecretObject>(secret);
  const holdsVersion: Look = (state) => whatIsMissing(state, expected);
  if (dependent.expect === 'version' && holdsVersion(before) === undefined) {
    return askAgainAfterAnother(cluster, dependent, versionId);
  }

  let source = await findSyncSource(cluster, dependent);
  let look = holdsVersion;
  if (dependent.expect === 'any-change') {
    if (neverLeft(source, versionId, before)) return;
    look = hasChanged(source, versionId, before);
  }
  if (source.asked?.versionId !== versionId) {
    await askForSync(cluster, source, { versionId, after: source.asked?.versionId });
    // However late it begins: no attempt before this one has used up its time.
    end = Date.now() + syncTimeoutMs;
  }

  let missing = look(before);
  let patienceMs = ASK_AGAIN_AFTER_MS.first;
  for (;;) {
    const patience = Math.min(end, Date.now() + patienceMs);
    const hasArrived = (state: SecretObject | undefined) => {
      missing = look(state);
      return missing === undefined;
    };
    const arrived = await watchUntil(cluster, secret, patience, hasArrived, before);
    if (arrived) return;
    if (Date.now() >= end) break;
    source = await findSyncSource(cluster, dependent);
    await askForSync(cluster, source, { versionId, after: source.asked?.after, again: (source.asked?.again ?? 0) + 1 });
    patienceMs = Math.min(patienceMs * 2, ASK_AGAIN_AFTER_MS.longest);
  }
  throw failure(
    Cause.NotSynced,
    `The Secret ${namespace}/${name} in ${cluster.name} did not get version ${versionId} within ${formatDuration(syncTimeoutMs)}: ${missing ?? 'it was not seen'}. ` +
      `${await syncTrouble(cluster, source)} No workload was restarted for it.`,
  );
}

/**
 * The Secret holds the version, and the operator was asked for another one, which never came: what it read of that one may still be on
 * its way. Asked once more, it reads AWSCURRENT after that. Where nothing can be asked, nothing comes either.
 */
async function askAgainAfterAnother(
  cluster: Cluster,
  dependent: KubernetesDependent,
  versionId: string,
): Promise<void> {
  try {
    const source = await findSyncSource(cluster, dependent);
    const after = source.asked?.versionId;
    if (after !== undefined && after !== versionId) await askForSync(cluster, source, { versionId, after });
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.type !== Cause.NotSynced) throw error;
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

/** Whether a version is asked for anew that the Secret still has, because nothing came of the one that was asked for in between. */
function neverLeft({ asked, found }: SyncSource, versionId: string, before: SecretObject | undefined): boolean {
  if (!asked || !before || asked.versionId === versionId || asked.after !== versionId) return false;
  const [changed, askedAt] = [changedTime(before), askedTime(found)];
  return changed !== undefined && askedAt !== undefined && changed < askedAt;
}

const changedTime = (secret: KubernetesObject) => writtenAt(secret, ['data']);
