import type { ApiKeyFields } from '../../src/rotation/plan';
import { httpProviderOf } from './fake-key-service';
import type { FakeKeyService } from './fake-key-service';
import type { Testbed } from './testbed';

/** The fields of an API key's secret where the catalog says nothing else. */
const FIELDS: ApiKeyFields = { id: 'keyId', value: 'key' };

/** What an application reads of an API key's two secrets. */
export interface KeyDocument {
  keyId?: string;
  key?: string;
  graceEndsAt?: string;
  phaseInPercent?: number;
  keyturn?: Record<string, unknown>;
  [other: string]: unknown;
}

/** Makes a key at the service, stores it with another field, and declares the secret. @returns the key's ID and value. */
export async function createApiKey(
  bed: Testbed,
  service: FakeKeyService,
  secret: string,
  declaration: Record<string, unknown> = {},
): Promise<{ id: string; value: string }> {
  const admin = `${secret}-admin`;
  await bed.secrets.create(admin, JSON.stringify({ token: service.adminToken }));
  const { id, value } = service.issue(`made by hand for ${secret}`);
  await bed.secrets.create(secret, JSON.stringify({ endpoint: service.url, [FIELDS.id]: id, [FIELDS.value]: value }));
  await bed.declare({
    [secret]: {
      type: 'api-key',
      provider: httpProviderOf(service, admin),
      gracePeriod: '2 seconds',
      quietPeriod: '0 seconds',
      ...declaration,
    },
  });
  return { id, value };
}

/** What an application finds in the secret, or in its secondary; `undefined` when there is none. */
export async function keyDocument(bed: Testbed, secret: string): Promise<KeyDocument | undefined> {
  try {
    return JSON.parse(await bed.secrets.value(secret)) as KeyDocument;
  } catch (error) {
    if ((error as Error).name === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}

/** Whether the service lets a key in, asked as a client asks. */
export async function accepted(service: FakeKeyService, value: string): Promise<boolean> {
  const answer = await fetch(`${service.url}/whoami`, { headers: { Authorization: `Bearer ${value}` } });
  await answer.body?.cancel();
  return answer.status === 200;
}
