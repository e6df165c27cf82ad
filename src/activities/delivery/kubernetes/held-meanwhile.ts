import type { Cluster } from './cluster';
import type { ObjectName, SecretObject } from './objects';
import { contentDigest } from './secret-digest';
import { showedLast } from './watch';

const REPLAYED_WITHIN_MS = 5_000;

/**
 * Whether a Secret held anything else between two states of it that were read: annotations that the operator hands down are no other
 * content. The API server shows every state in between; where it does not remember them, there may have been one.
 */
export async function heldOtherContent(
  cluster: Cluster,
  secret: ObjectName,
  first: SecretObject | undefined,
  last: SecretObject | undefined,
): Promise<boolean> {
  const from = first?.metadata.resourceVersion;
  const to = last?.metadata.resourceVersion;
  if (from === undefined || to === undefined) return first !== last;
  if (from === to) return false;
  const digest = contentDigest(first);
  let isOther = false;
  const isSettled = (state: SecretObject | undefined) => {
    isOther = contentDigest(state) !== digest;
    return isOther || state?.metadata.resourceVersion === to;
  };
  return !(await showedLast(cluster, secret, from, REPLAYED_WITHIN_MS, isSettled)) || isOther;
}
