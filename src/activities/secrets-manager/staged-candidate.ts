import type { SecretStore } from './store';

/** Whether the candidate is stored already; one that lost its label, to a reset or to a terminated rotation, gets it back. */
export async function isStaged(secrets: SecretStore, secretId: string, versionId: string): Promise<boolean> {
  if ((await secrets.findVersion(secretId, versionId)) === undefined) return false;
  const { pending, current } = (await secrets.describe(secretId))?.labels ?? {};
  if (current !== versionId && pending !== versionId) {
    await secrets.moveLabels(secretId, [{ label: 'pending', from: pending, to: versionId }]);
  }
  return true;
}
