import type { ApplicationFailure } from '@temporalio/common';
import { Cause } from '../../../rotation/errors';
import { errorClass, errorCode, redactFragments } from '../../boundary/activity-scope';
import { failure } from '../../failures';
import { retryAfterMs } from '../../retry-after';

/** An answer that the caller may have a use for: not found, in conflict, gone, invalid. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  /**
   * @param status HTTP.
   * @param code Kubernetes' reason, such as `NotFound`.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const CONFLICT = 409;

/** Whether others wrote an object at the same time: the API server has tried a merge patch several times by then, and it may be tried again. */
export function isConflict(error: Refusal): boolean {
  return error.status === CONFLICT;
}

/** What was asked of the API server, in its own words. */
export interface Asked {
  cluster: string;
  /** As in a Role: `get`, `list`, `watch`, `patch`. */
  verb: string;
  /** Such as `deployments prod/web`. */
  what: string;
}

/** The body of an answer that is not the object asked for (Kubernetes API reference, 'Status'). */
interface Status {
  reason?: string;
  message?: string;
}

/** What an answer other than 2xx means. Its message is the API server's, without any piece of a protected value. */
export function refusalOf(
  asked: Asked,
  status: number,
  body: string,
  retryAfter: string | undefined,
): Refusal | ApplicationFailure {
  const { cluster, verb, what } = asked;
  const { reason, message } = statusIn(body);
  const told = message === undefined ? `HTTP ${status}` : tidy(message);
  if (status === 401) {
    return failure(
      Cause.PermissionDenied,
      `The API server of ${cluster} does not accept the worker's credentials (HTTP 401), also when they were read anew. Nothing was changed. Renew them in the kubeconfig, or check the worker's ServiceAccount.`,
    );
  }
  if (status === 403) {
    return failure(
      Cause.PermissionDenied,
      `The worker may not ${verb} ${what} in ${cluster}: ${told}. Nothing was changed by this. Grant it with a Role as in deploy/kubernetes/access.yaml.`,
    );
  }
  if (status === 429)
    return failure(
      Cause.Throttled,
      `The API server of ${cluster} throttles ${verb} of ${what}; it is tried again.`,
      retryAfterMs(retryAfter ?? null, Date.now()),
    );
  if (status >= 500)
    return failure(Cause.TargetUnavailable, `The API server of ${cluster} could not ${verb} ${what}: ${told}.`);
  return new Refusal(status, reason ?? String(status), told);
}

const CERTIFICATE_CODES = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|ERR_SSL_)/;

/** What it means that there was no answer. */
export function unansweredBecause({ cluster, verb, what }: Asked, error: unknown): ApplicationFailure {
  const code = errorCode(error) ?? errorClass(error);
  if (CERTIFICATE_CODES.test(code)) {
    return failure(
      Cause.TlsRefused,
      `The certificate of ${cluster} is not trusted (${code}), so ${what} was left as it is. Check the certificate authority in the kubeconfig.`,
    );
  }
  return failure(Cause.TargetUnavailable, `The API server of ${cluster} did not answer ${verb} of ${what} (${code}).`);
}

/** A text that somebody else wrote, for one of Keyturn's sentences. */
export function tidy(text: string): string {
  return redactFragments(text).replace(/\s+/g, ' ').trim().slice(0, 500).replace(/\.$/, '');
}

function statusIn(body: string): Status {
  try {
    return (JSON.parse(body) as Status | null) ?? {};
  } catch {
    return {};
  }
}
