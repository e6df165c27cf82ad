import { CompleteAsyncError } from '@temporalio/activity';
import type { Context } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { Cause } from '../../rotation/errors';
import type { AuditEntry, AuditLog } from '../audit/audit-log';
import { failure } from '../failures';
import { holdsProtectedValue, runInActivityScope } from './activity-scope';
import type { OutsideCallObserver } from './activity-scope';
import { failedEntry, identityOf, operatorActEntries, startedEntry, stepName, succeededEntry } from './audit-entry';
import type { ActivityIdentity } from './audit-entry';
import { safeFailure } from './safe-failure';

/** The server must hear several heartbeats within the timeout, so that a lost or late one is no death. */
const HEARTBEATS_PER_TIMEOUT = 5;

interface Boundary {
  audit: AuditLog;
  onOutsideCall?: OutsideCallObserver;
}

/**
 * What stands around every activity, regular or local: its scope of secret values and outside calls, heartbeats, an audit
 * record before and after, and the rule that no error leaves it with a value (guarantees 1 and 11).
 *
 * When the audit log cannot be written the activity fails with {@link Cause.AuditUnavailable}, which Temporal does not
 * retry: the workflow waits with a timer, where operators see it, and runs the step again. Before the step that means that
 * nothing was touched; after it, that the step runs once more, which every step allows.
 */
export function createActivityBoundary({ audit, onOutsideCall }: Boundary): ActivityInterceptorsFactory {
  return (context) => ({
    inbound: {
      execute: (input, next) =>
        runInActivityScope(
          async () => {
            const identity = identityOf(context.info, input.args[0]);
            const endHeartbeats = beginHeartbeats(context);
            try {
              return await recorded(audit, identity, context, () => next(input));
            } catch (error) {
              throw safeFailure(error, stepName(identity), context.cancellationSignal.aborted);
            } finally {
              endHeartbeats();
            }
          },
          context.cancellationSignal,
          onOutsideCall,
        ),
    },
  });
}

async function recorded(
  audit: AuditLog,
  identity: ActivityIdentity,
  context: Context,
  run: () => Promise<unknown>,
): Promise<unknown> {
  const acts = operatorActEntries(identity);
  if (acts) {
    for (const act of acts) await append(audit, act, identity, 'The request has no record yet');
    return run();
  }

  await append(audit, startedEntry(identity), identity, 'The step was not begun; nothing was touched');
  const started = performance.now();
  const ended = await endOf(run, identity, context);
  if (!ended) throw new CompleteAsyncError();
  const durationMs = Math.round(performance.now() - started);
  const entry = ended.error
    ? failedEntry(identity, ended.error, durationMs)
    : succeededEntry(identity, ended.result, durationMs);
  await append(audit, entry, identity, `The step has ${entry.outcome}, but there is no record of that`);
  if (ended.error) throw ended.error;
  return ended.result;
}

/** How the step ended, the error already safe; `undefined` when it ends later and elsewhere. */
async function endOf(
  run: () => Promise<unknown>,
  identity: ActivityIdentity,
  context: Context,
): Promise<{ result?: unknown; error?: Error } | undefined> {
  try {
    const result = await run();
    refuseValues(result, identity);
    return { result };
  } catch (error) {
    if (error instanceof CompleteAsyncError) return undefined;
    return { error: safeFailure(error, stepName(identity), context.cancellationSignal.aborted) };
  }
}

/** A result goes into history: one that holds a value is a defect, and must not get there. */
function refuseValues(result: unknown, identity: ActivityIdentity): void {
  if (!holdsProtectedValue(JSON.stringify(result) ?? '')) return;
  throw failure(
    Cause.Unexpected,
    `${stepName(identity)} would have returned a secret value into the workflow's history. This is a defect in Keyturn; ` +
      'the result was dropped. Please report it with the name of the step.',
  );
}

async function append(audit: AuditLog, entry: AuditEntry, identity: ActivityIdentity, sofar: string): Promise<void> {
  try {
    await audit.append(entry);
  } catch (error) {
    throw failure(
      Cause.AuditUnavailable,
      `The audit log cannot be written, so ${stepName(identity)} waits: ${error instanceof Error ? error.message : 'no reason given'}. ` +
        `${sofar}. The step is run again by itself once the audit log can be written. Check that the database of ` +
        'KEYTURN_AUDIT_DATABASE_URL answers the worker, that deploy/postgres/audit.sql was run in it and that its login is a ' +
        'member of keyturn_audit_writer.',
    );
  }
}

/** Heartbeats without details; they also bring cancellation to the worker. Local activities have none. */
function beginHeartbeats(context: Context): () => void {
  const { isLocal, heartbeatTimeoutMs } = context.info;
  if (isLocal || !heartbeatTimeoutMs) return () => undefined;
  const timer = setInterval(() => context.heartbeat(), heartbeatTimeoutMs / HEARTBEATS_PER_TIMEOUT);
  return () => clearInterval(timer);
}
