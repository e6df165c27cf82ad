import { Cause } from '../../../rotation/errors';
import { failure } from '../../failures';
import { post, retryAfterMs } from './http';

/** Source: SP-API documentation, Application Management API v2023-11-30 Reference. */
const PATH = '/applications/2023-11-30/clientSecret';

/** One request a minute. Source: as above, usage plan of rotateApplicationClientSecret (0.0167 requests a second, burst 1). */
const BETWEEN_REQUESTS_MS = 60_000;

export interface RotationRequest {
  endpoint: string;
  accessToken: string;
  /** The secret's name in Secrets Manager, for messages. */
  about: string;
}

/**
 * Asks Amazon to make a new client secret, which it then sends to the application's registered queue.
 *
 * Source: SP-API documentation, Application Management API v2023-11-30 Reference, rotateApplicationClientSecret: POST without a body,
 * the token in `x-amz-access-token`; 204 without a body; errors 400, 403, 404, 413, 415, 429, 500, 503.
 *
 * @returns how Amazon answered, for messages: `204`, or why the outcome is unknown.
 * @throws Throttled, PermissionDenied, TargetUnavailable; after each of them it is certain that no secret was made.
 */
export async function rotateApplicationClientSecret(request: RotationRequest): Promise<string> {
  const { endpoint, accessToken, about } = request;
  const heard = await post('amazon-sp-api', 'rotateApplicationClientSecret', new URL(PATH, endpoint).href, {
    Accept: 'application/json',
    'x-amz-access-token': accessToken,
  });
  const where = new URL(endpoint).origin;
  if (heard.kind === 'not-reached') {
    throw failure(
      Cause.TargetUnavailable,
      `The Selling Partner API (${where}) cannot be reached for ${about} (${heard.reason}). No new secret was made.`,
    );
  }
  if (heard.kind === 'no-answer') return `no answer (${heard.reason})`;

  const { status, headers } = heard;
  if (status === 429) {
    throw failure(
      Cause.Throttled,
      `The Selling Partner API (${where}) makes one new secret a minute for an application, and refuses ${about} for now. No new secret was made.`,
      Math.max(retryAfterMs(headers, Date.now()) ?? 0, BETWEEN_REQUESTS_MS),
    );
  }
  if (status >= 300 && status < 500) {
    throw failure(
      Cause.PermissionDenied,
      `The Selling Partner API (${where}) refuses to make a new client secret for ${about} with ${status}. Nothing was changed. ${advice(status)}`,
    );
  }
  return String(status);
}

/** Source: SP-API documentation, announcement 'Update: 400 Error Response Message for rotateApplicationClientSecret'. */
function advice(status: number): string {
  if (status === 400) {
    return "Register the queue in the Developer Console: Notification Preferences, row 'Application Client New Secret'.";
  }
  if (status === 403)
    return 'Check in the Developer Console that the application is active in the region of this endpoint.';
  return "Check the provider's `endpoint` in the catalog.";
}
