import { ApplicationFailure, defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { formatDuration, parseDuration } from '../../rotation/durations';
import { RequestRefusal } from '../../rotation/errors';
import type {
  AbortRequest,
  EndGracePeriodRequest,
  ExtendGracePeriodRequest,
  OperatorRequest,
  RequestAccepted,
  RotationStatus,
  SetPhaseInRequest,
} from '../../rotation/types';
import type { GracePeriod } from './grace-period';

const statusQuery = defineQuery<RotationStatus>('status');

/** What the rotation does when a request was accepted. */
export interface RequestEffects {
  abort(request: AbortRequest): void;
  /** True once the outcome is being recorded: nothing can be changed any more. */
  isEnding(): boolean;
  /** Every request, accepted or refused, for the audit trail. */
  record(request: OperatorRequest): void;
}

/** What requests carry; each kind uses its own part. Comes from outside, so nothing of it is certain before {@link malformed}. */
type Parameters = AbortRequest & ExtendGracePeriodRequest & EndGracePeriodRequest & Partial<SetPhaseInRequest>;

interface Kind {
  name: OperatorRequest['request'];
  /** Why the request cannot be met now; it must not change anything, and must be synchronous. */
  refusal(status: RotationStatus, request: Parameters, grace: GracePeriod): ApplicationFailure | undefined;
  accept(status: RotationStatus, request: Parameters, grace: GracePeriod, effects: RequestEffects): RequestAccepted;
}

const refused = (type: RequestRefusal, message: string) => ApplicationFailure.nonRetryable(message, type);

const tooLate = (status: RotationStatus) =>
  refused(
    RequestRefusal.PastPointOfNoReturn,
    `the rotation of ${status.environment}/${status.secret} is over; its outcome is being recorded`,
  );

const notInGracePeriod = (status: RotationStatus, grace: GracePeriod) => {
  const { environment, secret, phase, step, graceEndsAt, pastPointOfNoReturn } = status;
  if (grace.isOpen()) return undefined;
  const where = `it is ${phase === 'grace-period' ? '' : `${phase}, `}at ${step || 'its start'}`;
  if (pastPointOfNoReturn && graceEndsAt !== undefined) {
    return refused(
      RequestRefusal.PastPointOfNoReturn,
      `the grace period of ${environment}/${secret} ended at ${graceEndsAt}, and the rotation is past its point of no return (${where})`,
    );
  }
  return refused(
    RequestRefusal.NotInGracePeriod,
    graceEndsAt === undefined
      ? `the rotation of ${environment}/${secret} is not in its grace period (${where})`
      : `the grace period of ${environment}/${secret} ended at ${graceEndsAt} (${where})`,
  );
};

const abort: Kind = {
  name: 'abort',
  refusal: (status) =>
    status.pastPointOfNoReturn
      ? refused(
          RequestRefusal.PastPointOfNoReturn,
          `the rotation of ${status.environment}/${status.secret} is past its point of no return (${status.step}): it only goes forward. To go back afterwards, where that is possible: keyturn rollback ${status.environment}/${status.secret}`,
        )
      : undefined,
  accept: (status, request, _grace, effects) => {
    if (status.phase === 'rolling-back') return { accepted: 'it is being undone already' };
    effects.abort(request);
    return { accepted: 'the rotation stops, and what it did is undone' };
  },
};

const extendGracePeriod: Kind = {
  name: 'extendGracePeriod',
  refusal: (status, request, grace) => notInGracePeriod(status, grace) ?? badExtension(status, request),
  accept: (status, request, grace) => {
    const endsAt = extendedEnd(status, request);
    const unchanged = endsAt?.toISOString() === status.graceEndsAt;
    if (unchanged || !endsAt || !grace.isNew(request.requestId)) {
      return { accepted: 'the grace period ends then already', graceEndsAt: status.graceEndsAt };
    }
    grace.moveEnd(endsAt);
    return { accepted: 'the grace period is longer now', graceEndsAt: status.graceEndsAt };
  },
};

const endGracePeriod: Kind = {
  name: 'endGracePeriod',
  refusal: (status, _request, grace) => (grace.wasEnded() ? undefined : notInGracePeriod(status, grace)),
  accept: (status, _request, grace) => {
    const already = grace.wasEnded();
    if (!already) grace.end();
    return {
      accepted: already ? 'the grace period was ended already' : 'the grace period is over',
      graceEndsAt: status.graceEndsAt,
    };
  },
};

const setPhaseIn: Kind = {
  name: 'setPhaseIn',
  refusal: (status, { percent }, grace) =>
    notInGracePeriod(status, grace) ?? notPhasedIn(status) ?? badPercent(status, percent),
  accept: (status, { percent = 0 }, grace) => {
    const already = status.phaseInPercent === percent;
    // Said anew, even the same share is from now on the operator's and not the catalog's.
    grace.setPhaseIn(percent);
    return {
      accepted: already
        ? `the new key's share is ${percent} % already`
        : `the new key's share is ${percent} % now; a schedule in the catalog no longer changes it`,
      phaseInPercent: percent,
    };
  },
};

function notPhasedIn({ environment, secret, phaseInPercent, versions, steps }: RotationStatus) {
  if (phaseInPercent === undefined) {
    return refused(
      RequestRefusal.NotInGracePeriod,
      `the rotation of ${environment}/${secret} has no phase-in: only API keys are used side by side`,
    );
  }
  if (!steps.some(({ name, state }) => name === 'promote' && state === 'done')) return undefined;
  return refused(
    RequestRefusal.NotInGracePeriod,
    `the new key of ${environment}/${secret} is promoted already: AWSCURRENT is ${versions.candidate}, and everybody is to use it`,
  );
}

function badPercent({ phaseInPercent }: RotationStatus, percent: unknown) {
  if (typeof percent === 'number' && Number.isInteger(percent) && percent >= 0 && percent <= 100) return undefined;
  return refused(
    RequestRefusal.BadRequest,
    `percent is not a whole number from 0 to 100; the new key's share stays ${phaseInPercent} %`,
  );
}

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
  const { graceEndsAt, graceEndsLatest } = status;
  const until = request.until !== undefined;
  if (graceEndsAt && endsAt.getTime() <= Date.parse(graceEndsAt)) {
    const again = until && endsAt.getTime() === Date.parse(graceEndsAt);
    if (!again) return bad('that would not be longer');
  }
  if (graceEndsLatest && endsAt.getTime() > Date.parse(graceEndsLatest)) {
    const left = Math.max(Date.parse(graceEndsLatest) - Date.parse(graceEndsAt ?? graceEndsLatest), 0);
    return bad(
      `it can last until ${graceEndsLatest} at most, which is ${left > 0 ? `${formatDuration(left)} longer` : 'its end already'}`,
    );
  }
  return undefined;
}

const MAX_TEXT = 1_000;

function malformed(request: Parameters): ApplicationFailure | undefined {
  const bad = (['reason', 'requestedBy', 'by', 'until', 'requestId'] as const).find((name) => {
    const value: unknown = request[name];
    return value !== undefined && (typeof value !== 'string' || value.length > MAX_TEXT);
  });
  return bad && refused(RequestRefusal.BadRequest, `the field ${bad} is not a text of at most ${MAX_TEXT} characters`);
}

/** Answers the query `status`, and listens to operators by signal and by update alike. */
export function listenToOperators(status: RotationStatus, grace: GracePeriod, effects: RequestEffects): void {
  setHandler(statusQuery, () => status);
  for (const kind of [abort, extendGracePeriod, endGracePeriod, setPhaseIn]) {
    const refusalOf = (request: Parameters) =>
      malformed(request) ?? (effects.isEnding() ? tooLate(status) : kind.refusal(status, request, grace));
    const take = (request: Parameters) => {
      const accepted = kind.accept(status, request, grace, effects);
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

function entryOf(kind: Kind, request: Parameters, refusal?: string): OperatorRequest {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MAX_TEXT) : undefined);
  return {
    request: kind.name,
    at: new Date().toISOString(),
    asked: askedFor(request),
    requestedBy: text(request.requestedBy),
    reason: text(request.reason),
    refused: refusal,
  };
}

/** Comes from outside, and may be anything. */
function askedFor({ by, until, percent }: Parameters): string | undefined {
  const shown = (value: unknown) => (JSON.stringify(value) ?? '').replaceAll('"', '').slice(0, MAX_ASKED);
  if (by !== undefined) return `by ${shown(by)}`;
  if (until !== undefined) return `until ${shown(until)}`;
  return percent === undefined ? undefined : `${shown(percent)} %`;
}

const MAX_ASKED = 50;
