import { writeFile } from 'node:fs/promises';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { stringify } from 'yaml';
import { inLanes } from '../../src/rotation/in-lanes';
import { secretIdOf } from '../../src/rotation/names';
import { httpProviderOf, startFakeKeyService } from '../testbed/fake-key-service';
import type { FakeKeyService } from '../testbed/fake-key-service';
import type { Props } from './stage';
import { ENVIRONMENT } from './subjects';

/** So many secrets have their keys in one account: each rotation lists all keys of its account, and keeps their IDs in its history. */
const KEYS_PER_SERVICE = 20;

/** API keys of fake services in this process. */
export interface ApiKeys {
  /** Secrets by name below the environment. */
  secrets: string[];
  create: Props['create'];
  stop(): Promise<void>;
}

export async function startKeyServices(keys: number): Promise<ApiKeys> {
  const services = await Promise.all(
    Array.from({ length: Math.ceil(keys / KEYS_PER_SERVICE) }, () =>
      startFakeKeyService({ maxKeys: 2 * KEYS_PER_SERVICE }),
    ),
  );
  const providers = services.map((service, n) => httpProviderOf(service, adminOf(n)));
  const secrets = Array.from({ length: keys }, (_, n) => `key/${n}`);
  const serviceOf = (n: number) => n % services.length;

  return {
    secrets,

    async create(_lab, secretsManager, catalog) {
      const texts = [
        ...services.map((service, n) => [adminOf(n), { token: service.adminToken }] as const),
        ...secrets.map((secret, n) => [secret, newKey(services[serviceOf(n)], secret)] as const),
      ];
      await inLanes(texts, 4, async ([secret, fields]) => {
        const Name = secretIdOf(ENVIRONMENT, secret);
        await secretsManager.send(new CreateSecretCommand({ Name, SecretString: JSON.stringify(fields) }));
      });
      const declarations = secrets.map((secret, n) => [secret, { type: 'api-key', provider: providers[serviceOf(n)] }]);
      const declared = Object.fromEntries(declarations) as Record<string, object>;
      await writeFile(catalog, stringify({ environments: { [ENVIRONMENT]: { secrets: declared } } }));
    },

    async stop() {
      await Promise.all(services.map((service) => service.stop()));
    },
  };
}

const adminOf = (service: number) => `admin/${service}`;

function newKey(service: FakeKeyService | undefined, secret: string): { keyId?: string; key?: string } {
  const issued = service?.issue(`the first of ${secret}`);
  return { keyId: issued?.id, key: issued?.value };
}
