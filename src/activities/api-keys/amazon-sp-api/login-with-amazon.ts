import { Cause } from '../../../rotation/errors';
import { protect } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import { post, retryAfterMs } from './http';

/**
 * The only scope that changing client secrets needs. A grantless token can't be had without one, and an application that may not have
 * this one can't be rotated at all.
 * Source: SP-API documentation, Grantless Operations.
 */
const ROTATION_SCOPE = 'sellingpartnerapi::client_credential:rotation';

/** Source: RFC 6749, section 5.2. Anything else in an answer's `error` is not repeated. */
const ERROR_CODES = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
]);

export interface TokenRequest {
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  /** The secret's name in Secrets Manager, for messages. */
  about: string;
}

/**
 * Asks Login with Amazon for a token by client ID and client secret alone.
 *
 * Source: SP-API documentation, Grantless Operations: a form with grant_type, client_id, client_secret and scope. A wrong or expired client
 * secret is answered with 401 and the error `invalid_client`; RFC 6749, section 5.2 allows 400 as well.
 *
 * @returns the access token, registered for redaction; `undefined` when the client secret is refused.
 * @throws Throttled, PermissionDenied (the application may not have this scope), TargetUnavailable for anything that proves nothing.
 */
export async function requestToken(request: TokenRequest): Promise<string | undefined> {
  const { tokenUrl, clientId, clientSecret, about } = request;
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: protect(clientSecret),
    scope: ROTATION_SCOPE,
  });
  const headers = { Accept: 'application/json' };
  const heard = await post('login-with-amazon', 'POST token', tokenUrl, headers, form);
  const where = new URL(tokenUrl).origin;
  if (heard.kind !== 'answer') {
    throw failure(
      Cause.TargetUnavailable,
      `Login with Amazon (${where}) did not answer for ${about} (${heard.reason}). Nothing was changed.`,
    );
  }
  const { status } = heard;
  const answer = parsed(heard.body);
  if (status === 200) return tokenIn(answer, where, about);

  const error = ERROR_CODES.has(String(answer['error'])) ? String(answer['error']) : undefined;
  if ((status === 400 || status === 401) && error === 'invalid_client') return undefined;
  if (status === 429) {
    throw failure(
      Cause.Throttled,
      `Login with Amazon (${where}) throttles the application of ${about}; it is asked again.`,
      retryAfterMs(heard.headers, Date.now()),
    );
  }
  if ((status === 400 || status === 403) && error !== undefined) {
    throw failure(
      Cause.PermissionDenied,
      `Login with Amazon (${where}) gives the application of ${about} no token (${status}, ${error}). Nothing was changed. Check in ` +
        `the Developer Console that client ID ${clientId} is that of a Selling Partner application, which may use the scope ${ROTATION_SCOPE}.`,
    );
  }
  throw failure(
    Cause.TargetUnavailable,
    `Login with Amazon (${where}) answered ${status} for ${about}, which proves nothing about the client secret. Nothing was changed.`,
  );
}

function tokenIn(answer: Record<string, unknown>, where: string, about: string): string {
  const token = answer['access_token'];
  if (typeof token === 'string' && token !== '') return protect(token);
  throw failure(
    Cause.TargetUnavailable,
    `Login with Amazon (${where}) answered 200 without an access token for ${about}. Nothing was changed.`,
  );
}

/** An answer that is no JSON object, such as a proxy's page, says nothing. */
function parsed(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
