import { AsyncLocalStorage } from 'node:async_hooks';
import { redactValues } from './redaction';

/** A call to a system outside the worker, as the audit record shows it. */
export interface OutsideCall {
  /** Such as `secrets-manager` or `postgres`. */
  system: string;
  /** In the system's own words, such as `UpdateSecretVersionStage`. */
  operation: string;
  /** ISO 8601. */
  startedAt: string;
  durationMs: number;
  /** `ok` or what the system answered; for an error its code: a Cause, an SQLSTATE, an AWS error name, a Node error code. */
  outcome: string;
  /** How many like it are summed up here, when an execution made very many calls; `durationMs` is then their sum. */
  times?: number;
}

/**
 * Sees outside calls as they are made, such as to trace them. It must not fail, and nobody waits for it.
 *
 * @returns is told how the call ended: its outcome as in {@link OutsideCall}, and whether it threw.
 */
export type OutsideCallObserver = (system: string, operation: string) => (outcome: string, threw: boolean) => void;

interface ActivityScope {
  /** The activity's cancellation. */
  cancelled?: AbortSignal;
  onOutsideCall?: OutsideCallObserver;
  /** With the parts of each that are secret; all of it when undefined. */
  secretValues: Map<string, readonly string[] | undefined>;
  calls: OutsideCall[];
  /** Calls beyond {@link CALLS_IN_DETAIL}, summed by system, operation and outcome. */
  furtherCalls: Map<string, OutsideCall & { times: number }>;
}

/** A shorter value would be found in half of all words; it is not much of a secret either. */
const SHORTEST_PROTECTED = 6;

/** A value this long does not stand in a name by chance. */
const LONG_ENOUGH_TO_BE_SURE = 16;

/** Keeps the record of a step that polls for minutes small. */
const CALLS_IN_DETAIL = 50;

const scopes = new AsyncLocalStorage<ActivityScope>();

/**
 * Runs one activity execution in a scope of its own. The other functions here find it from anywhere below.
 *
 * @param cancelled ends the making of further outside calls.
 */
export function runInActivityScope<T>(
  run: () => Promise<T>,
  cancelled?: AbortSignal,
  onOutsideCall?: OutsideCallObserver,
): Promise<T> {
  return scopes.run({ secretValues: new Map(), calls: [], furtherCalls: new Map(), cancelled, onOutsideCall }, run);
}

/**
 * Registers a secret value, or anything that it can be derived from or that opens the same door (a whole secret string,
 * a SCRAM verifier), so that nothing that leaves the activity holds it. Values under 6 characters are not looked for.
 *
 * @param parts the parts of the value that are secret in themselves, where that is certain: {@link redactFragments} then leaves pieces
 * without any of them.
 * @returns the value itself, so that it can be wrapped where the value is first seen.
 */
export function protect(value: string, parts?: readonly string[]): string {
  const values = scopes.getStore()?.secretValues;
  if (value.length >= SHORTEST_PROTECTED) values?.set(value, parts ?? values.get(value));
  return value;
}

/**
 * Replaces every protected value by `[redacted]`, in clear, base64, base64url, hex, URL-encoded and JSON-escaped form.
 * Returns the text as it is outside a scope.
 */
export function redact(text: string): string {
  const scope = scopes.getStore();
  return scope ? redactValues(text, scope.secretValues.keys()) : text;
}

/** Like {@link redact}, and replaces pieces of values too: for messages that others wrote and may have shortened. */
export function redactFragments(text: string): string {
  const scope = scopes.getStore();
  return scope ? redactValues(text, scope.secretValues.keys(), { fragmentsOf: scope.secretValues }) : text;
}

/** Whether a text holds a protected value of 16 characters or more in one of the forms of {@link redact}. */
export function holdsProtectedValue(text: string): boolean {
  const values = [...(scopes.getStore()?.secretValues.keys() ?? [])];
  const long = values.filter((value) => value.length >= LONG_ENOUGH_TO_BE_SURE);
  return redactValues(text, long) !== text;
}

/**
 * Makes one call to an outside system and notes it for the audit record. The result or error is passed through.
 * `system` and `operation` must not hold a value. A cancelled activity makes no further call: what it did so far is about to be undone.
 *
 * @param answer says the outcome where an answer can also be a refusal, as that of a login.
 */
export async function outsideCall<T>(
  system: string,
  operation: string,
  call: () => Promise<T>,
  answer: (result: T) => string = () => 'ok',
): Promise<T> {
  const scope = scopes.getStore();
  scope?.cancelled?.throwIfAborted();
  const ended = scope?.onOutsideCall?.(system, operation);
  const startedAt = new Date().toISOString();
  const started = performance.now();
  const note = (outcome: string, threw: boolean): void => {
    ended?.(outcome, threw);
    noteCall({ system, operation, startedAt, durationMs: Math.round(performance.now() - started), outcome });
  };
  try {
    const result = await call();
    note(answer(result), false);
    return result;
  } catch (error) {
    note(redact(errorCode(error) ?? errorClass(error)), true);
    throw error;
  }
}

/** The outside calls of the current scope so far, in the order in which they ended. */
export function outsideCalls(): OutsideCall[] {
  const scope = scopes.getStore();
  return scope ? [...scope.calls, ...scope.furtherCalls.values()] : [];
}

function noteCall(call: OutsideCall): void {
  const scope = scopes.getStore();
  if (!scope) return;
  if (scope.calls.length < CALLS_IN_DETAIL) {
    scope.calls.push(call);
    return;
  }
  const kind = JSON.stringify([call.system, call.operation, call.outcome]);
  const sum = scope.furtherCalls.get(kind);
  if (!sum) {
    scope.furtherCalls.set(kind, { ...call, times: 1 });
    return;
  }
  sum.times++;
  sum.durationMs += call.durationMs;
}

/** The code by which an error's system names it, if it has one; only what looks like a code, so that it can't be a text. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, type } = error as { code?: unknown; type?: unknown };
  return [code, type].find(
    (candidate): candidate is string => typeof candidate === 'string' && /^[\w.-]{1,64}$/.test(candidate),
  );
}

/** An error's class, such as `TypeError` or `ResourceNotFoundException`. */
export function errorClass(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const name = error.name === 'Error' || error.name === 'error' ? error.constructor.name : error.name;
  return /^[\w$.-]{1,64}$/.test(name) ? name : 'Error';
}
