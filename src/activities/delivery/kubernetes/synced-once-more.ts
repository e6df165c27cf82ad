import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster';
import type { ExternalSecretObject, SyncSource } from './external-secret';
import { askForSync, nextRequest, wasGiven } from './external-secret';
import { isReady } from './sync-trouble';
import { cancellation } from './waiting';

const PAUSE_MS = { first: 250, longest: 5_000 };
/** A failed sync is asked for anew: the operator itself tries again after pauses of up to a quarter of an hour. */
const ASK_AGAIN_AFTER_MS = 15_000;

/**
 * Asks the operator to sync, and waits until it says that it has read and synced after that.
 *
 * It goes by `status.syncedResourceVersion`, not by times. The operator writes its status only where the ExternalSecret is still what it
 * read at the beginning (optimistic locking): where the annotation was there and the status changes, it had read the annotation, and the
 * provider after it. A ClusterExternalSecret hands the annotation down later, and is asked a second time when it has arrived.
 *
 * Operators from before `v1` write it without that: the first change may be of a sync that had begun earlier. They sync one ExternalSecret
 * once at a time, so that the second change is of a sync that began after the asking.
 *
 * @param end in milliseconds since the epoch.
 * @returns whether it said so by then.
 */
export async function isSyncedOnceMore(
  cluster: Cluster,
  source: SyncSource,
  versionId: string,
  end: number,
): Promise<boolean> {
  const { externalSecret } = source;
  let request = nextRequest(source, versionId);
  let askAgainAt = 0;
  const ask = async () => {
    const answer = await askForSync(cluster, source, request);
    askAgainAt = Date.now() + ASK_AGAIN_AFTER_MS;
    return answer;
  };
  const askOnceMore = () => {
    request = nextRequest({ ...source, asked: request }, versionId);
    return ask();
  };
  let changesToSee = externalSecret.resource.version === 'v1' ? 1 : 2;
  const answer = await ask();
  const isDirect = source.name.resource.plural === externalSecret.resource.plural;
  /** What was synced when the annotation was there first. */
  let before = isDirect ? syncedIn(answer as ExternalSecretObject) : undefined;
  for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 1.5, PAUSE_MS.longest)) {
    const leftMs = end - Date.now();
    await delay(Math.max(0, Math.min(pauseMs, leftMs)), undefined, { signal: cancellation() });
    const found = await cluster.read<ExternalSecretObject>(externalSecret);
    const isSynced = found && before && syncedIn(found).version !== before.version && isReady(found.status?.conditions);
    if (isSynced && --changesToSee === 0) return true;
    if (leftMs <= 0) return false;
    if (found && (isSynced || (!before && wasGiven(found, request)))) {
      before = syncedIn(found);
      await askOnceMore();
    } else if (Date.now() >= askAgainAt) {
      await askOnceMore();
    }
  }
}

const syncedIn = ({ status }: ExternalSecretObject) => ({ version: status?.syncedResourceVersion });
