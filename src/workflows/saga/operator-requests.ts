import { ApplicationFailure, defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { MAX_GRACE_PERIOD_MS, parseDuration } from '../../rotation/durations';
import { RequestRefusal } from '../../rotation/errors';
import type {
  AbortRequest,
  EndGracePeriodRequest,
  ExtendGracePeriodRequest,
  OperatorRequest,
  RequestAccepted,
  RotationStatus,
} from '../../rotation/types';

const statusQuery = defineQuery<RotationStatus>('status');

/** What the rotation does when a request was accepted. */
export interface RequestEffects {
  abort(request: AbortRequest): void;
  extendGracePeriod(endsAt: Date): void;
  endGracePeriod(): void;
  /** True once the outcome is being recorded: nothing can be changed any more. */
  isEnding(): boolean;
  /** Every request, accepted or refused, for the audit trail. */
  record(request: OperatorRequest): void;
}

/** What requests carry; each kind uses its own part. Comes from outside, so nothing of it is certain before {@link malformed}. */
type Parameters = AbortRequest & ExtendGracePeriodRequest & EndGracePeriodRequest;

interface Kind {
  name: OperatorRequest['request'];
  /** Why the request cannot be met now; it must not change anything, and must be synchronous. */
  refusal(status: RotationStatus, request: Parameters): ApplicationFailure | undefined;
  accept(status: RotationStatus, request: Parameters, effects: RequestEffects): RequestAccepted;
}

const refused = (type: RequestRefusal, message: string) => ApplicationFailure.nonRetryable(message, type);

const tooLate = (status: RotationStatus) =>
  refused(
    RequestRefusal.PastPointOfNoReturn,
    `the rotation of ${status.environment}/${status.secret} is over; its outcome is being recorded`,
  );

const notInGracePeriod = (status: RotationStatus) =>
  status.phase === 'grace-period'
    ? undefined
    : refused(
        RequestRefusal.NotInGracePeriod,
        `the rotation of ${status.environment}/${status.secret} is not in its grace period (it is ${status.phase}, at ${status.step || 'its start'})`,
      );

const abort: Kind = {
  name: 'abort',
  refusal: (status) =>
    status.pastPointOfNoReturn
      ? refused(
          RequestRefusal.PastPointOfNoReturn,
          `the rotation of ${status.environment}/${status.secret} is past its point of no return (${status.step}): the new version is in use, and it only goes forward. To go back afterwards: keyturn rollback ${status.environment}/${status.secret}`,
        )
      : undefined,
  accept: (status, request, effects) => {
    if (status.phase === 'rolling-back') return { accepted: 'it is being undone already' };
    effects.abort(request);
    return { accepted: 'the rotation stops, and what it did is undone' };
  },
};

const extendGracePeriod: Kind = {
  name: 'extendGracePeriod',
  refusal: (status, request) => notInGracePeriod(status) ?? badExtension(status, request),
  accept: (status, request, effects) => {
    const endsAt = extendedEnd(status, request);
    if (endsAt) effects.extendGracePeriod(endsAt);
    return { accepted: 'the grace period is longer now', graceEndsAt: endsAt?.toISOString() };
  },
};

const endGracePeriod: Kind = {
  name: 'endGracePeriod',
  refusal: notInGracePeriod,
  accept: (_status, _request, effects) => {
    effects.endGracePeriod();
    return { accepted: 'the grace period is over', graceEndsAt: new Date().toISOString() };
  },
};

function extendedEnd(status: RotationStatus, { by, until }: ExtendGracePeriodRequest): Date | undefined {
  if (until !== undefined) {
    return INSTANT.test(until) ? validDate(Date.parse(until)) : undefined;
  }
  const milliseconds = by === undefined ? undefined : parseDuration(by);
  if (milliseconds === undefined || !status.graceEndsAt) return undefined;
  return validDate(Date.parse(status.graceEndsAt) + milliseconds);
}

/** With its offset: without one it would mean another instant on another worker. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/;

function validDate(milliseconds: number): Date | undefined {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function badExtension(status: RotationStatus, request: ExtendGracePeriodRequest): ApplicationFailure | undefined {
  const bad = (why: string) =>
    refused(RequestRefusal.BadRequest, `${why}; the grace period ends at ${status.graceEndsAt} as before`);
  if ((request.by === undefined) === (request.until === undefined)) {
    return bad(`say either by (a duration such as '3 days') or until (an ISO time)`);
  }
  const endsAt = extendedEnd(status, request);
  if (!endsAt)
    return bad(
      `'${request.by ?? request.until}' is not a ${request.by !== undefined ? 'duration' : 'time with its offset, such as 2030-01-31T08:00:00Z'}`,
    );
  if (status.graceEndsAt && endsAt.getTime() <= Date.parse(status.graceEndsAt)) return bad('that would not be longer');
  if (endsAt.getTime() > Date.now() + MAX_GRACE_PERIOD_MS) return bad('that is more than 30 days ahead');
  return undefined;
}

const MAX_TEXT = 1_000;

function malformed(request: Parameters): ApplicationFailure | undefined {
  const bad = (['reason', 'requestedBy', 'by', 'until'] as const).find((name) => {
    const value: unknown = request[name];
    return value !== undefined && (typeof value !== 'string' || value.length > MAX_TEXT);
  });
  return bad && refused(RequestRefusal.BadRequest, `the field ${bad} is not a text of at most ${MAX_TEXT} characters`);
}

/** Answers the query `status`, and listens to operators by signal and by update alike. */
export function listenToOperators(status: RotationStatus, effects: RequestEffects): void {
  setHandler(statusQuery, () => status);
  for (const kind of [abort, extendGracePeriod, endGracePeriod]) {
    const refusalOf = (request: Parameters) =>
      malformed(request) ?? (effects.isEnding() ? tooLate(status) : kind.refusal(status, request));
    const take = (request: Parameters) => {
      const accepted = kind.accept(status, request, effects);
      effects.record(entryOf(kind, request));
      return accepted;
    };
    setHandler(defineUpdate<RequestAccepted, [Parameters]>(kind.name), (request) => take(given(request)), {
      validator: (request) => {
        const refusal = refusalOf(given(request));
        if (refusal) throw refusal;
      },
    });
    setHandler(defineSignal<[Parameters]>(kind.name), (request) => {
      const refusal = refusalOf(given(request));
      if (refusal) effects.record(entryOf(kind, given(request), refusal.message));
      else take(given(request));
    });
  }
}

/** Signals and updates may come without an argument. */
function given(request: Parameters | null | undefined): Parameters {
  return typeof request === 'object' && request !== null ? request : {};
}

function entryOf(kind: Kind, { requestedBy, reason }: Parameters, refusal?: string): OperatorRequest {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MAX_TEXT) : undefined);
  return {
    request: kind.name,
    at: new Date().toISOString(),
    requestedBy: text(requestedBy),
    reason: text(reason),
    refused: refusal,
  };
}
