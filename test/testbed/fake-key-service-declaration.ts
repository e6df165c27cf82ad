import type { FakeKeyService } from './fake-key-service';

/**
 * How the catalog describes a fake key service to the provider `http`.
 *
 * @param adminSecret the name, below the environment, of the secret `{"token": adminToken}`.
 */
export function httpProviderOf({ url }: Pick<FakeKeyService, 'url'>, adminSecret = 'key-service-admin') {
  const headers = { Authorization: 'Bearer {{admin.token}}' };
  return {
    name: 'http',
    adminSecret,
    idempotencyHeader: 'Idempotency-Key',
    requestTimeout: '5 seconds',
    settle: '1 second',
    create: {
      method: 'POST',
      url: `${url}/keys`,
      headers,
      body: '{"name": "{{label}}"}',
      id: '/data/id',
      value: '/data/secret',
    },
    verify: {
      method: 'GET',
      url: `${url}/whoami`,
      headers: { Authorization: 'Bearer {{key.value}}' },
      accepted: [200],
      refused: [401],
    },
    list: {
      method: 'GET',
      url: `${url}/keys`,
      headers,
      keys: '/data',
      id: '/id',
      label: '/name',
      createdAt: '/created_at',
      lastUsedAt: '/last_used_at',
      active: '/active',
    },
    deactivate: { method: 'POST', url: `${url}/keys/{{key.id}}/deactivate`, headers },
    reactivate: { method: 'POST', url: `${url}/keys/{{key.id}}/activate`, headers },
    delete: { method: 'DELETE', url: `${url}/keys/{{key.id}}`, headers },
  };
}
