import type { OnceMore, KubernetesDependent } from '../../../rotation/dependents';
import type { Cluster } from './cluster';
import type { SecretObject } from './objects';
import { SECRETS } from './objects';
import type { SyncResult } from './sync-result';

/**
 * Whether a version that is AWSCURRENT already, and was brought once more, came to a Secret that had held something else. The Secret as it
 * was when the run began tells that also to an attempt that follows a lost answer, and after a push, which writes what is there already.
 * What only a template shows is told by its content: the operator writes annotations as well.
 */
export async function sinceRunBegan(
  cluster: Cluster,
  dependent: KubernetesDependent,
  result: SyncResult,
  { seen }: OnceMore,
): Promise<SyncResult> {
  const { sync, expect, namespace, secret: name } = dependent;
  if (seen === undefined || (sync !== 'push' && expect === 'any-change')) return result;
  const secret = await cluster.read<SecretObject>({ resource: SECRETS, namespace, name }, 'metadata');
  return { ...result, came: secret?.metadata.resourceVersion !== seen };
}
