import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { GrpcStatus, grpcMessageOf, grpcStatusOf } from './grpc-status';
import { StartupError } from './startup-error';
import type { TemporalSettings } from './temporal-settings';

interface ReachOptions {
  /** How long the server may take to come up, in milliseconds. */
  patienceMs: number;
  /** Hears about each attempt in vain that is followed by another. */
  onRetry?: (reason: string, retryInMs: number) => void;
  /** Ends the waiting; {@link untilReachable} then throws the signal's reason. */
  signal?: AbortSignal;
}

const LONGEST_PAUSE_MS = 5_000;

/**
 * Tries to connect until it works, the server refuses, or patience ends.
 *
 * @throws StartupError saying which server could not be reached and what to look at.
 */
export async function untilReachable<T>(
  settings: TemporalSettings,
  connect: () => Promise<T>,
  { patienceMs, onRetry, signal }: ReachOptions,
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    signal?.throwIfAborted();
    try {
      return await connect();
    } catch (error) {
      if (isRefusal(error)) throw refused(settings, error);
      if (Date.now() + pauseMs > deadline) throw unreachable(settings, error, patienceMs);
      onRetry?.(reasonOf(error), pauseMs);
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/**
 * @throws StartupError when the namespace does not exist or the server does not let us use it.
 */
export async function checkNamespace(
  connection: Pick<Connection, 'workflowService'>,
  settings: TemporalSettings,
): Promise<void> {
  try {
    await connection.workflowService.describeNamespace({ namespace: settings.namespace });
  } catch (error) {
    if (isRefusal(error)) throw refused(settings, error);
    if (grpcStatusOf(error) !== GrpcStatus.NotFound) throw unreachable(settings, error);
    throw new StartupError(
      `Temporal at ${settings.address} has no namespace '${settings.namespace}'. Nothing was started. Correct TEMPORAL_NAMESPACE, or create it:\n` +
        `  temporal operator namespace create --namespace ${settings.namespace}`,
    );
  }
}

function isRefusal(error: unknown): boolean {
  const status = grpcStatusOf(error);
  if (status !== undefined) return status === GrpcStatus.Unauthenticated || status === GrpcStatus.PermissionDenied;
  // The worker's native connection tells the status of its first call in its text only.
  return /\b(Unauthenticated|PermissionDenied)\b/.test(reasonOf(error));
}

function refused(settings: TemporalSettings, error: unknown): StartupError {
  return new StartupError(
    `Temporal at ${settings.address} refuses access to namespace '${settings.namespace}' (${reasonOf(error)}). Nothing was started. ` +
      'Check TEMPORAL_API_KEY or the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH) and TEMPORAL_NAMESPACE.',
  );
}

function unreachable(settings: TemporalSettings, error: unknown, patienceMs?: number): StartupError {
  const waited = patienceMs === undefined ? '' : ` within ${Math.round(patienceMs / 1000)} s`;
  const tls = settings.connection.tls ? 'on' : 'off';
  return new StartupError(
    `Temporal cannot be reached at ${settings.address}${waited} (${reasonOf(error)}). Nothing was started. ` +
      `Check that the server is up, TEMPORAL_ADDRESS (or TEMPORAL_PROFILE), and TEMPORAL_TLS: TLS is ${tls}.`,
  );
}

/** The words of an error that help an operator; the native connection wraps them in four layers of Rust. */
function reasonOf(error: unknown): string {
  const text = grpcMessageOf(error);
  if (text.includes('InvalidContentType')) return 'the server does not speak TLS';
  return /(?:message|error): "([^"]+)"/.exec(text)?.[1] ?? text;
}
