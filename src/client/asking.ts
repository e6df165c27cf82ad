import { WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { RequestAccepted } from '../rotation/types';
import { isUnanswered } from './temporal-failures';

const QUERY_TIMEOUT_MS = 5_000;
const UPDATE_TIMEOUT_MS = 10_000;

/** A workflow, or one run of it, as the SDK's `getHandle` returns it. */
type Asked = ReturnType<Client['workflow']['getHandle']>;

/**
 * Asks a workflow by query, and waits for a worker so long.
 *
 * @throws what {@link isUnanswered} tells when no worker takes it.
 */
export async function queryInTime<T>(
  client: Client,
  handle: Asked,
  query: string,
  timeoutMs = QUERY_TIMEOUT_MS,
): Promise<T> {
  return client.withDeadline(Date.now() + timeoutMs, () => handle.query<T>(query));
}

/**
 * Sends a workflow a request as an update, and waits for its answer for ten seconds.
 *
 * @throws what {@link isRequestUnanswered} tells when no worker takes it.
 */
export async function requestInTime<A>(
  client: Client,
  handle: Asked,
  request: string,
  argument: A,
): Promise<RequestAccepted> {
  return client.withDeadline(Date.now() + UPDATE_TIMEOUT_MS, () =>
    handle.executeUpdate<RequestAccepted, [A]>(request, { args: [argument] }),
  );
}

/** Whether no worker answered a request. The server refuses updates, too, while a workflow's workers keep dying over its task. */
export function isRequestUnanswered(error: unknown): boolean {
  return error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isUnanswered(error);
}
