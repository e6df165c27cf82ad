import type { Dependent, KubernetesDependent } from '../../../rotation/dependents';
import { protect } from '../../boundary/activity-scope';
import { secretPartsOf } from '../../secrets-manager/secret-parts';
import type { SecretStore } from '../../secrets-manager/store';
import { expectedKeys } from './secret-digest';

/**
 * Sees that a version has every field that the catalog maps to a key of a Kubernetes Secret. The version that is made from it will have the
 * same ones, so that a mistyped one would be found only when the secret has changed.
 *
 * @throws SecretUnusable when it lacks one.
 */
export async function seeMappedFields(
  secrets: Pick<SecretStore, 'readVersion'>,
  { secretId, versionId }: { secretId: string; versionId: string },
  dependents: Dependent[],
): Promise<void> {
  const mapped = dependents.filter(takesFields);
  if (mapped.length === 0) return;
  const text = await secrets.readVersion(secretId, versionId);
  protect(text, secretPartsOf(text)?.parts);
  for (const dependent of mapped) expectedKeys(dependent, versionId, text);
}

/** What a template makes of the fields is not compared. */
function takesFields(dependent: Dependent): dependent is KubernetesDependent {
  if (dependent.kind !== 'kubernetes' || dependent.expect === 'any-change') return false;
  return dependent.keys.some(({ field }) => field !== undefined);
}
