import { isGrpcCancelledError, isGrpcDeadlineError, isGrpcServiceError } from '@temporalio/client';
import { createSearchAttributesCommand } from '../runtime/search-attributes';
import type { TemporalSettings } from '../runtime/temporal-settings';
import { OperatorError } from './errors';
import { ExitCode } from './exit-codes';

// gRPC documentation, 'Status codes and their use in gRPC'.
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/**
 * Whether a query with a deadline got no answer because no worker took it. The server learns the deadline too, and its own
 * cancellation may arrive first.
 */
export function isUnanswered(error: unknown): boolean {
  return isGrpcDeadlineError(error) || isGrpcCancelledError(error) || grpcError(error)?.code === FAILED_PRECONDITION;
}

/** The server's own words where there are any. */
export function serverReason(error: unknown): string {
  return grpcError(error)?.details ?? (error instanceof Error ? error.message : String(error));
}

/** What the server answered to a call, in operators' words; anything else is returned as it is. */
export function explainTemporalFailure(error: unknown, { address, namespace }: TemporalSettings): unknown {
  const grpc = error instanceof OperatorError ? undefined : grpcError(error);
  if (!grpc) return error;
  const { code, details } = grpc;
  if (code === INVALID_ARGUMENT && /search attribute/i.test(details)) {
    return new OperatorError(
      'SearchAttributesMissing',
      `Temporal's namespace ${namespace} lacks search attributes that every rotation sets (${details}). Nothing was started. Create them:\n` +
        createSearchAttributesCommand(namespace),
      ExitCode.Usage,
    );
  }
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED) {
    return new OperatorError(
      'TemporalDenied',
      `Temporal at ${address} does not let this client do that in namespace ${namespace} (${details}).\nCheck TEMPORAL_API_KEY or the client certificate, and what they permit.`,
      ExitCode.Failed,
    );
  }
  if (code === UNAVAILABLE || isGrpcDeadlineError(error)) {
    return new OperatorError(
      'TemporalUnreachable',
      `Temporal at ${address} no longer answers (${details}). Rotations that run are not affected: they go on as soon as it does.\nSee how they stand: keyturn status`,
      ExitCode.Failed,
    );
  }
  return new OperatorError(
    'TemporalError',
    `Temporal at ${address} answered with an error: ${details}`,
    ExitCode.Failed,
  );
}

function grpcError(error: unknown) {
  if (isGrpcServiceError(error)) return error;
  const cause = error instanceof Error ? error.cause : undefined;
  return isGrpcServiceError(cause) ? cause : undefined;
}
