import { Cause, RotationFailure } from '../rotation/errors';
import type { RequestRefusal, RollbackIncompleteDetails } from '../rotation/errors';
import { rotationWorkflowId, secretIdOf } from '../rotation/names';
import type { RotationStatus } from '../rotation/types';
import { commandLines, graceCommands, graceText } from './grace-period';
import type { RotationReport } from './rotation-report';
import { startedBy } from './rotation-report';
import { ExitCode } from './exit-codes';

/** Everything that the client reports to operators on purpose. The message says what happened and what to type next. */
export class OperatorError extends Error {
  /**
   * @param type what programs go by; stable.
   * @param details plain JSON without values.
   */
  constructor(
    readonly type: string,
    message: string,
    readonly exitCode: ExitCode,
    readonly details?: unknown,
  ) {
    super(message);
    this.name = type;
  }
}

/** Thrown when a command cannot be carried out as it was given. */
export class UsageError extends OperatorError {
  constructor(message: string, type = 'UsageError', details?: unknown) {
    super(type, message, ExitCode.Usage, details);
  }
}

/** Thrown on a second start while a rotation of the secret runs; the running one is left alone. */
export class AlreadyRunning extends OperatorError {
  constructor(secretId: string, running?: RotationReport) {
    const step = running?.status ? `, at step ${running.status.step} (${running.status.phase})` : '';
    const grace = running?.status && graceText(running.status, Date.now());
    super(
      'AlreadyRunning',
      [
        running
          ? `${secretId} is already being changed: ${running.workflowType} runs since ${running.startedAt}${startedBy(running)}${step}.`
          : `${secretId} is already being changed.`,
        'Nothing was started.',
        ...(grace ? [`${grace}.`] : []),
        ...(running?.unanswered ? [running.unanswered] : []),
        ...whatNext(secretId, running?.status),
      ].join('\n'),
      ExitCode.Refused,
      running,
    );
  }
}

/** Thrown when the running rotation declined an operator's request; nothing was changed by it. */
export class RequestRefused extends OperatorError {
  constructor(type: RequestRefusal, secretId: string, request: string, reason: string) {
    super(type, `${request} of ${secretId} was refused: ${reason}`, ExitCode.Refused);
  }
}

/** Thrown when a request needs a running rotation and there is none. */
export class NotRunning extends OperatorError {
  constructor(secretId: string, last?: RotationReport) {
    const ended = last
      ? ` The last one (${last.workflowType}) ${last.execution} at ${last.closedAt ?? 'an unknown time'}.`
      : '';
    super(
      'NotRunning',
      `No rotation of ${secretId} is running.${ended} Nothing was changed.\nSee what runs: keyturn status`,
      ExitCode.Refused,
      last,
    );
  }
}

/** Thrown when Temporal knows no rotation of the secret, running or ended. */
export class NoRotationFound extends OperatorError {
  constructor(secretId: string) {
    super(
      'NoRotationFound',
      `Temporal knows no rotation of ${secretId}: it was never rotated here, or longer ago than the namespace keeps history.\n` +
        `See what runs: keyturn status\nRotate it:     keyturn rotate ${secretId}`,
      ExitCode.Usage,
    );
  }
}

/**
 * Thrown when no worker answered a request in time. The server may still hand it to the next worker that polls, but forgets it
 * when it restarts itself; a signal is durable.
 */
export class RequestUnanswered extends OperatorError {
  constructor(environment: string, secret: string, request: string, argument: object, reason: string) {
    const secretId = secretIdOf(environment, secret);
    const workflowId = shellQuoted(rotationWorkflowId(environment, secret));
    super(
      'RequestUnanswered',
      `The request ${request} for ${secretId} is not answered: ${reason} It may still take effect when one polls.\n` +
        `See whether it did: keyturn status ${secretId}\n` +
        'To be certain, start a worker with keyturn worker and ask again, or leave it as a signal, which waits for the worker:\n' +
        `temporal workflow signal --workflow-id ${workflowId} --name ${request} --input ${shellQuoted(JSON.stringify(argument))}`,
      ExitCode.Failed,
    );
  }
}

/** One word of a command, whatever is in it. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The one sentence for a query or update that got no answer in time. */
export function noWorker(taskQueue: string): string {
  return `no worker is polling task queue ${taskQueue}, or it is too busy to answer.`;
}

/** What to type while a rotation runs; in its grace period also what moves or ends that. */
export function whatNext(secretId: string, status?: RotationStatus): string[] {
  const steering = status ? graceCommands(secretId, status) : [];
  return commandLines([
    { what: 'Follow it', command: `keyturn status ${secretId} --follow` },
    ...(steering.length > 0 || status?.pastPointOfNoReturn
      ? steering
      : [{ what: 'Abort it', command: `keyturn abort ${secretId} --reason '...'` }]),
  ]);
}

/** Causes of a refused rotation that the operator's own input brought about. */
const USAGE_CAUSES: ReadonlySet<string> = new Set([
  Cause.WrongWorkflowId,
  Cause.BadInput,
  Cause.CatalogInvalid,
  Cause.UnknownSecret,
  Cause.WrongSecretType,
]);

/** Causes that people clear away at the provider, after which the same rotation succeeds. */
const KEY_CAUSES: ReadonlySet<string> = new Set([Cause.TooManyKeys, Cause.KeyNotOurs, Cause.KeyStillUsed]);

/**
 * Thrown when a rotation ended without rotating. `type` is one of {@link RotationFailure}, or `Aborted`, `Cancelled`,
 * `Terminated`, `TimedOut`, `Unexpected`; `details` are those of the failure.
 */
export class RotationFailed extends OperatorError {
  constructor(type: string, secretId: string, message: string, details?: unknown) {
    super(type, [message, ...whatIsLeft(type, secretId, details)].join('\n'), exitCodeOf(type, details), details);
  }
}

function exitCodeOf(type: string, details: unknown): ExitCode {
  if (type !== RotationFailure.RotationRefused) return ExitCode.Failed;
  return USAGE_CAUSES.has(causeOf(details)) ? ExitCode.Usage : ExitCode.Refused;
}

function causeOf(details: unknown): string {
  const cause = (details as { cause?: { type?: unknown } } | undefined)?.cause;
  return typeof cause?.type === 'string' ? cause.type : '';
}

function whatIsLeft(type: string, secretId: string, details: unknown): string[] {
  const { undone, leftToDo } = (details ?? {}) as Partial<RollbackIncompleteDetails>;
  const lines: string[] = [];
  if (Array.isArray(undone) && undone.length > 0) lines.push('Undone:', ...undone.map((step) => `  ${step}`));
  if (Array.isArray(leftToDo) && leftToDo.length > 0) {
    lines.push('Left to do by hand:');
    for (const left of leftToDo) lines.push(`  ${left.step}: ${left.todo} (${left.cause.message})`);
  }
  if (KEY_CAUSES.has(causeOf(details))) {
    lines.push(
      ...commandLines([
        { what: 'See its keys', command: 'keyturn doctor' },
        { what: 'Then rotate again', command: `keyturn rotate ${secretId}` },
      ]),
    );
  }
  if (type === 'Terminated') {
    lines.push(`Terminating undoes nothing. The next rotation finds what is left: keyturn rotate ${secretId}`);
  }
  return lines;
}
