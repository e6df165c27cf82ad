import type { ApplicationFailure } from '@temporalio/common';
import { formatDuration } from '../../../rotation/durations';
import { Cause } from '../../../rotation/errors';
import type { HttpOperation } from '../../../rotation/templates';
import { failure } from '../../failures';
import type { HttpAnswer } from './exchange';
import type { CallIdentity } from './request';

const DOES: Record<HttpOperation, string> = {
  create: 'issue a key',
  verify: 'say whether a key works',
  list: 'list the keys',
  deactivate: 'deactivate a key',
  reactivate: 'reactivate a key',
  delete: 'delete a key',
};

/** A gateway answers for a service that it does not reach. */
const OUT_OF_REACH: ReadonlySet<number> = new Set([502, 503, 504]);

/** 4xx statuses that pass by themselves: Request Timeout, Too Early, Too Many Requests (RFC 9110, RFC 8470, RFC 6585). */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300;
export const isOutOfReach = ({ status }: HttpAnswer): boolean => OUT_OF_REACH.has(status);
export const isGone = ({ status }: HttpAnswer): boolean => status === 404 || status === 410;

/** Whether the service has said no to this request, and would say it again. Not so when it refuses the administrator. */
export function isFinalRefusal({ status, retryAfterMs }: HttpAnswer): boolean {
  if (status === 409 && retryAfterMs !== undefined) return false;
  return status >= 400 && status < 500 && status !== 401 && status !== 403 && !PASSING.has(status);
}

/** What an answer other than a success means for a rotation. The answer itself is not quoted but for its status. */
export function refusalOf(answer: HttpAnswer, identity: CallIdentity): ApplicationFailure {
  const { status } = answer;
  const { operation, method, origin, about, adminSecretId } = identity;
  const answered = `${origin} answered ${method} with ${status} and did not ${DOES[operation]} for ${about}`;

  if (status === 429) {
    return failure(Cause.Throttled, `${answered}: it throttles; the call is made again.`, answer.retryAfterMs);
  }
  if (status >= 500 || PASSING.has(status)) {
    return failure(
      Cause.TargetUnavailable,
      `${answered}. ${method === 'GET' ? '' : 'Whether the call took effect is not known. '}It is made again.`,
      answer.retryAfterMs,
    );
  }
  if (status === 401 || status === 403) {
    const check = adminSecretId
      ? `Check that ${adminSecretId} holds a credential that is valid and may ${DOES[operation]}`
      : 'Name an adminSecret in the catalog whose credential may do so';
    const limit = operation === 'create' ? ' Some services answer so too when they issue no further key.' : '';
    return failure(
      Cause.PermissionDenied,
      `${answered}: it refuses the administrator. ${check}, and that the ${operation} call's headers in the catalog send it.${limit}`,
    );
  }
  if (operation === 'create' && status === 409) {
    if (answer.retryAfterMs !== undefined) {
      return failure(Cause.TargetBusy, `${answered} yet; it asks to be asked again.`, answer.retryAfterMs);
    }
    return failure(
      Cause.TooManyKeys,
      `${answered}. Services answer so when there are as many keys as they allow, or one of that name already. Delete a key that nobody uses, and start again.`,
    );
  }
  if (status >= 300 && status < 400) {
    return failure(
      Cause.CatalogInvalid,
      `${answered}: it redirects, which is not followed because the administrator's credential would go along. Give the ${operation} call's final url in the catalog.`,
    );
  }
  return failure(
    Cause.CatalogInvalid,
    `${answered}; it would answer the same again. Compare the ${operation} call's method, url, headers and body in the catalog with the service's documentation.`,
  );
}

/** An answer to the use of a key that is neither its acceptance nor its refusal. */
export function provesNothing(answer: HttpAnswer, { method, origin, about }: CallIdentity): ApplicationFailure {
  const { status, retryAfterMs } = answer;
  return failure(
    status === 429 ? Cause.Throttled : Cause.TargetUnavailable,
    `${origin} answered ${method} with ${status} when a key of ${about} was used. The catalog has ${status} neither under accepted nor under refused of the verify call, so that proves nothing about the key; it is used again.`,
    retryAfterMs,
  );
}

/** A service that asked for a pause is not asked before its end, whichever step or rotation would. */
export function stillPaused(pauseMs: number, { operation, origin, about }: CallIdentity): ApplicationFailure {
  return failure(
    Cause.Throttled,
    `${origin} asked to be left alone for another ${formatDuration(pauseMs)}; the ${operation} call of ${about} is made then.`,
    pauseMs,
  );
}
