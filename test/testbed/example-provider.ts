import type { ApiKeyFacts, ApiKeyProvider } from '../../src/activities/api-keys/provider';
import { outsideCall, protect } from '../../src/activities/boundary/activity-scope';
import { failure } from '../../src/activities/failures';
import { Cause } from '../../src/rotation/errors';

const ANSWER_WITHIN_MS = 10_000;

interface AcmeKey {
  id: string;
  name: string;
  active: boolean;
  created_at: string;
  last_used_at: string | null;
}

/**
 * Keys of an Acme account.
 *
 * @param token the administrator's.
 * @param about the secret that is rotated, for messages.
 */
export function createAcmeProvider(url: string, token: string, about: string): ApiKeyProvider {
  protect(token);

  /** One request. The answer may hold a key, so that only its status gets into a message. */
  async function ask(
    operation: string,
    method: string,
    path: string,
    bearer: string,
    body?: object,
  ): Promise<Response> {
    const request = {
      method,
      headers: { Authorization: `Bearer ${bearer}` },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    };
    const answer = await outsideCall(
      'acme',
      operation,
      () => fetch(`${url}${path}`, request).catch(() => undefined),
      (given) => (given ? `HTTP ${given.status}` : 'no answer'),
    );
    if (answer?.status === 429) throw failure(Cause.Throttled, `Acme throttles ${operation} for ${about}.`);
    if (answer && answer.status < 500) return answer;
    throw failure(
      Cause.TargetUnavailable,
      `Acme did not answer ${operation} for ${about}. Whether it took effect is not known; it is made again.`,
    );
  }

  /** What only the administrator may do; undefined when there is no such key. */
  async function administer(operation: string, method: string, path: string, body?: object) {
    const answer = await ask(operation, method, path, token, body);
    const { status, ok } = answer;
    if (ok) return answer;
    if (status === 404) return undefined;
    const said = `Acme answered ${operation} for ${about} with ${status}`;
    if (status === 409) throw failure(Cause.TooManyKeys, `${said}: there are as many keys as it allows. Delete one.`);
    throw failure(Cause.PermissionDenied, `${said}. Check that the administrator's token is valid and may do that.`);
  }

  async function list(): Promise<ApiKeyFacts[]> {
    const answer = await administer('list', 'GET', '/keys');
    const { data = [] } = ((await answer?.json()) ?? {}) as { data?: AcmeKey[] };
    return data.map((key) => ({
      id: key.id,
      label: key.name,
      active: key.active,
      createdAt: key.created_at,
      lastUsedAt: key.last_used_at ?? undefined,
    }));
  }

  return {
    settleMs: 5_000,
    list,

    async create({ label }) {
      const answer = await administer('create', 'POST', '/keys', { name: label });
      const { data } = (await answer?.json()) as { data: { id: string; secret: string } };
      return { id: data.id, value: protect(data.secret) };
    },

    async verify({ value }) {
      const { status } = await ask('verify', 'GET', '/whoami', protect(value));
      if (status === 200) return 'accepted';
      if (status === 401) return 'refused';
      throw failure(Cause.TargetUnavailable, `Acme answered a use of the key of ${about} with ${status}.`);
    },

    lastUsed: async (id) => (await list()).find((key) => key.id === id)?.lastUsedAt,
    deactivate: async (id) => void (await administer('deactivate', 'POST', `/keys/${id}/deactivate`)),
    reactivate: async (id) => void (await administer('reactivate', 'POST', `/keys/${id}/activate`)),
    delete: async (id) => void (await administer('delete', 'DELETE', `/keys/${id}`)),
  };
}
