import type { StepInput } from '../step-input';
import type { ApiKeyTarget, KeyStore, StoredKey } from './key-store';
import type { ApiKeyProvider } from './provider';
import type { ApiKeyProviders } from './providers';

export interface KeyInput extends StepInput {
  /** The rotation's candidate: the VersionId that the new key gets in the primary, from which the secondary's derive. */
  versionId: string;
  /** The version of the primary that holds the old key. */
  currentVersionId: string;
  target: ApiKeyTarget;
}

/** What the activities of API keys work with: the versions of both secrets, and the provider. */
export interface KeyAccess {
  store: KeyStore;
  /** The key that is being replaced, and its provider, opened with what its secret holds. */
  openReplaced(input: KeyInput): Promise<StoredKey & { provider: ApiKeyProvider }>;
}

export function createKeyAccess(store: KeyStore, providers: ApiKeyProviders): KeyAccess {
  return {
    store,
    async openReplaced({ secretId, currentVersionId, target }) {
      const replaced = await store.ofVersion(secretId, currentVersionId, target);
      return { ...replaced, provider: await providers.open({ ...target, secretId }, replaced.fields) };
    },
  };
}
