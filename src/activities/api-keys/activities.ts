import type { SecretStore } from '../secrets-manager/store';
import { createCreationActivities } from './creation';
import { createInspectionActivities } from './inspection';
import { createKeyStore } from './key-store';
import { createProofActivities } from './proofs';
import type { ApiKeyProviders } from './providers';
import { createPublicationActivities } from './publication';
import { createKeyAccess } from './replaced-key';
import { createRevocationActivities } from './revocation';

/** In the order in which a rotation needs them. */
export function createApiKeyActivities(secrets: SecretStore, providers: ApiKeyProviders) {
  const store = createKeyStore(secrets);
  const access = createKeyAccess(store, providers);
  return {
    ...createInspectionActivities(access),
    ...createCreationActivities(access),
    ...createProofActivities(access),
    ...createPublicationActivities(secrets, store),
    ...createRevocationActivities(access),
  };
}
